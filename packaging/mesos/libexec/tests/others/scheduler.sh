#!/usr/bin/env bash
# A scheduler of bash, curl and jq: runs one shell command, with a file from a URI, and prints the states of its task.
set -euo pipefail
export LC_ALL=C # lengths are of bytes

master=$1 uri=$2 command=$3
api="http://$master/api/v1/scheduler"
task="job-$$"
folder=$(mktemp -d)
trap 'kill "$curl" 2>/dev/null || true; rm -rf "$folder"' EXIT
mkfifo "$folder/events"

subscribe='{"type": "SUBSCRIBE", "subscribe": {"framework_info":
  {"user": "root", "name": "shell", "roles": ["*"], "capabilities": [{"type": "MULTI_ROLE"}]}}}'
curl --silent --show-error --no-buffer --dump-header "$folder/headers" --header 'Content-Type: application/json' \
  --header 'Accept: application/json' --data "$subscribe" "$api" > "$folder/events" &
curl=$!

call() {
  curl --silent --show-error --fail-with-body --header 'Content-Type: application/json' --header "Mesos-Stream-Id: $stream" \
    --data "$(jq --compact-output --arg framework "$framework" '.framework_id.value = $framework' <<< "$1")" "$api" >&2
}

launch() {
  jq --arg task "$task" --arg uri "$uri" --arg command "$command" '.offers.offers[0] | {type: "ACCEPT", accept: {
    offer_ids: [.id], operations: [{type: "LAUNCH", launch: {task_infos: [{
      name: "job", task_id: {value: $task}, agent_id: .agent_id,
      resources: [{name: "cpus", type: "SCALAR", scalar: {value: 0.1}}, {name: "mem", type: "SCALAR", scalar: {value: 32}}],
      command: {value: $command, uris: [{value: $uri}]}}]}}]}}'
}

framework='' launched=''
while read -r length && read -r -N "$length" event; do
  case $(jq --raw-output .type <<< "$event") in
    SUBSCRIBED)
      framework=$(jq --raw-output .subscribed.framework_id.value <<< "$event")
      stream=$(sed -n 's/^mesos-stream-id: \([^\r]*\).*/\1/ip' "$folder/headers")
      ;;
    OFFERS)
      [[ -z $launched ]] || continue
      launched=yes
      call "$(launch <<< "$event")"
      ;;
    UPDATE)
      state=$(jq --raw-output .update.status.state <<< "$event")
      echo "$state"
      # What the master itself says of a task has no uuid, and is not acknowledged.
      if jq --exit-status .update.status.uuid <<< "$event" > /dev/null; then
        call "$(jq '{type: "ACKNOWLEDGE", acknowledge: (.update.status | {agent_id, task_id, uuid})}' <<< "$event")"
      fi
      case $state in
        TASK_FINISHED) break ;;
        TASK_FAILED | TASK_ERROR | TASK_LOST | TASK_DROPPED)
          jq --raw-output .update.status.message <<< "$event" >&2
          exit 1
          ;;
      esac
      ;;
  esac
done < "$folder/events"
call '{"type": "TEARDOWN"}'
