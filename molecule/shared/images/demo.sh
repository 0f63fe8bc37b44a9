#!/usr/bin/env bash
# Makes the demo image: a web server whose page tells the container's name, the image and its version.
#   demo.sh VERSION     prints the image's name; builds it first when this recipe's image does not exist yet
# It is Debian's (or Ubuntu's) busybox-static and one script, so no image registry is needed.
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
apt-get download -q busybox-static >&2
dpkg-deb -x busybox-static_*.deb package

mkdir -p root/bin root/www root/tmp
chmod 1777 root/tmp
busybox=$(find package -path '*/bin/busybox' -type f)
install -m 0755 "$busybox" root/bin/busybox
for applet in $("$busybox" --list); do
  [[ $applet == busybox ]] || ln -s busybox "root/bin/$applet"
done

# The first process of a container ignores SIGTERM unless it handles it: so the script does, and stops at once.
cat >root/bin/demo-web <<'SCRIPT'
#!/bin/sh
printf '<h1>It works</h1><p>container %s, image demo/web, version %s</p>\n' "$(hostname)" "$DEMO_VERSION" >/www/index.html
httpd -f -p 80 -h /www &
server=$!
trap 'kill "$server"; exit 0' TERM INT
wait "$server"
SCRIPT
chmod 0755 root/bin/demo-web

tar -C root --owner=0 --group=0 -c . \
  | docker import -c "ENV DEMO_VERSION=$version PATH=/bin" -c 'EXPOSE 80' -c 'CMD ["/bin/demo-web"]' - "$image" >&2
echo "built" >&2
echo "$image"
