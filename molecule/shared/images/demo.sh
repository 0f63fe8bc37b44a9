#!/usr/bin/env bash
# Makes the demo image: a web server whose page tells the container's name, the image and its version.
#   demo.sh VERSION     prints the image's name; builds it first when this recipe's image does not exist yet
# /health answers once it is ready, /cgi-bin/slow takes half a second. The environment makes it misbehave: DEMO_READY_SECONDS
# (how long it takes to become ready), DEMO_FAULT (exit: it ends at once; unready: it never becomes ready). So versions
# 3 (exit) and 4 (unready) are what updates must not end with.
# It is this machine's busybox-static (make prepare-lab) and one script, so no image registry is needed.
set -euo pipefail

version=${1:-}
[[ $version =~ ^[0-9]+$ ]] || { echo "demo.sh: version is '$version'; allowed is: a whole number" >&2; exit 2; }

recipe=$(sha256sum -- "$0")
image=lab/demo-web:$version-${recipe:0:12}

if docker image inspect "$image" >/dev/null 2>&1; then
  echo "$image"
  exit
fi

work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
cd "$work"
mkdir -p root/bin root/www/cgi-bin root/tmp
chmod 1777 root/tmp root/www # any user may run it
busybox=$(dpkg --listfiles busybox-static | grep -m 1 '/bin/busybox$')
install -m 0755 "$busybox" root/bin/busybox
for applet in $("$busybox" --list); do
  [[ $applet == busybox ]] || ln -s busybox "root/bin/$applet"
done

# The first process of a container ignores SIGTERM unless it handles it: so the script does. It stops listening at once,
# and ends when the requests under way are answered (httpd has a process for each).
cat >root/bin/demo-web <<'SCRIPT'
#!/bin/sh
if [ "$DEMO_FAULT" = exit ]; then
  echo "demo/web, version $DEMO_VERSION, ends at once, as DEMO_FAULT says" >&2
  exit 1
fi
printf '<h1>It works</h1><p>container %s, image demo/web, version %s</p>\n' "$(hostname)" "$DEMO_VERSION" >/www/index.html
httpd -f -p "${DEMO_PORT:-80}" -h /www &
server=$!
trap 'kill "$server"; while pidof httpd >/dev/null; do sleep 0.1; done; exit 0' TERM INT
if [ "$DEMO_FAULT" != unready ]; then
  sleep "${DEMO_READY_SECONDS:-0}" &
  wait "$!" # a signal is handled at once while it waits, but not while a program runs in front
  echo well >/www/health
fi
wait "$server"
SCRIPT
# A request that takes a while.
cat >root/www/cgi-bin/slow <<'SCRIPT'
#!/bin/sh
sleep "${DEMO_SLOW_SECONDS:-0.5}"
printf 'Content-Type: text/plain\r\n\r\nversion %s\n' "$DEMO_VERSION"
SCRIPT
chmod 0755 root/bin/demo-web root/www/cgi-bin/slow

case $version in
  3) fault='exit' ;;
  4) fault='unready' ;;
  *) fault='' ;;
esac

tar -C root --owner=0 --group=0 -c . \
  | docker import -c "ENV DEMO_VERSION=$version DEMO_FAULT=$fault PATH=/bin" -c 'EXPOSE 80' -c 'CMD ["/bin/demo-web"]' - "$image" >&2
echo "built" >&2
echo "$image"
