#!/bin/sh -e
# zookeeper-drop-unbegun-log DATA_DIR
#
# Removes the newest transaction log if not even its header was written. A server that finds its disk full, or loses its
# power, at the moment when it begins a log leaves such a file behind: empty, or zeros where the header should be. It
# can't read it and would never start again, though nothing was in it: the header reaches the disk no later than the
# first transaction. An older log without a header is another matter: something was lost, and ZooKeeper refuses to start.
logs=$1/version-2
# log.9 is older than log.a, and log.f older than log.10.
newest=$(find "$logs" -maxdepth 1 -name 'log.*' -printf '%f\n' 2>/dev/null | sed 's/^log\.//' |
  awk '{ printf "%16s\n", $1 }' | LC_ALL=C sort | tail -n 1 | tr -d ' ')
[ -n "$newest" ] || exit 0
log=$logs/log.$newest
if [ "$(stat --format=%s "$log")" -lt 16 ] || [ -z "$(head --bytes=16 "$log" | tr -d '\0')" ]; then
  echo "$log was never begun: removing it"
  rm "$log"
fi
