#!/bin/sh -e
# zookeeper-drop-unbegun-log DATA_DIR
#
# Removes the newest transaction log if nothing was ever written to it. A server that finds its disk full, or loses its
# power, at the moment when it begins a log leaves such a file behind: empty, cut off in its header, or nothing but zeros.
# It can't read it and would never start again, though nothing is lost with it: the header reaches the disk no later than
# the first transaction. Any other log without a header is another matter: something was lost, and ZooKeeper refuses to
# start.

# As ZooKeeper finds its logs, and orders them: log.9 is older than log.a, and log.f older than log.10.
newest=$(find "$1/version-2/" -maxdepth 1 -type f -regex '.*/log\.[0-9a-f]+' 2>/dev/null |
  awk 'length($0) > length(newest) || length($0) == length(newest) && $0 > newest { newest = $0 } END { print newest }')
[ -n "$newest" ] || exit 0
size=$(stat --format=%s "$newest")
# A log that can't be read is no log of zeros.
if [ "$size" -lt 16 ] || cmp --silent --bytes="$size" "$newest" /dev/zero; then
  echo "$newest was never begun: removing it"
  rm "$newest"
fi
