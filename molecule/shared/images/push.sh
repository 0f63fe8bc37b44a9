#!/usr/bin/env bash
# Pushes an image of this machine's engine into the registry of a lab host.
#   push.sh IMAGE HOST REPOSITORY TAG...     e.g. push.sh lab/demo-web:1-0123 lab-registry demo/web 1
# skopeo does it on the host itself: this machine's engine would ask for TLS, and need not know the host.
set -euo pipefail

image=$1 host=$2 repository=$3
shift 3

docker save "$image" | docker exec --interactive "$host" bash -euo pipefail -c '
  repository=$1
  shift
  archive=$(mktemp)
  trap '\''rm -f "$archive"'\'' EXIT
  cat >"$archive"
  for tag; do
    skopeo copy --quiet --dest-tls-verify=false "docker-archive:$archive" "docker://127.0.0.1:5000/$repository:$tag"
  done' push "$repository" "$@"
