#!/bin/sh -e
# zookeeper-drop-unbegun-log DATA_DIR
#
# Removes the newest transaction log if not even its header was written. A server that finds its disk full, or loses its
# power, at the moment when it begins a log leaves such a file behind: empty, or zeros where the header should be. It
# can't read it and would never start again, though nothing was in it: the header reaches the disk no later than the
# first transaction. An older log without a header is another matter: something was lost, and ZooKeeper refuses to start.

# log.9 is older than log.a, and log.f older than log.10.
newest=$(find "$1/version-2" -maxdepth 1 -name 'log.*' 2>/dev/null |
  awk 'length($0) > length(newest) || length($0) == length(newest) && $0 > newest { newest = $0 } END { print newest }')
[ -n "$newest" ] || exit 0
if [ "$(stat --format=%s "$newest")" -lt 16 ] || [ -z "$(head --bytes=16 "$newest" | tr -d '\0')" ]; then
  echo "$newest was never begun: removing it"
  rm "$newest"
fi
