#!/usr/bin/env bash
# Makes the image of a lab host: a minimal Debian that boots systemd. Nothing that a role installs is in it.
#   host.sh SUITE     prints the image's name; builds it first when this recipe's image does not exist yet
# The packages come from where this machine's own apt gets Debian; a machine that has no Debian
# source (an Ubuntu, say) leaves the choice to debootstrap. Nothing is taken from an image registry.
set -euo pipefail

((EUID == 0)) || exec sudo --preserve-env=DOCKER_HOST,http_proxy,https_proxy,no_proxy -- "$0" "$@"

suite=${1:-}
case $suite in
  bookworm | trixie) ;;
  *) echo "host.sh: suite is '$suite'; allowed are: bookworm, trixie" >&2; exit 2 ;;
esac

# systemd and dbus boot it; python3, python3-apt and sudo are what Ansible needs on any Debian host, check mode included.
packages=systemd,systemd-sysv,dbus,python3,python3-apt,sudo,ca-certificates,iproute2,procps

# debian_source LABEL FIELD SUFFIX: a field of this machine's apt source of that label, for the release's main archive ("")
# or a companion of it ("-updates"). Nothing when there is none.
debian_source() {
  apt-get indextargets 'Created-By: Packages' 'Origin: Debian' "Label: $1" 'Component: main' \
    | awk -v field="$2: " -v suffix="$3" '
        /^Release: / { companion = $2; sub(/^[^-]*/, "", companion) }
        index($0, field) == 1 { value = substr($0, length(field) + 1) }
        /^$/ { report() }
        END { report() }
        function report() { if (value != "" && companion == suffix && !done) { print value; done = 1 } value = "" }'
}

mirror=$(debian_source Debian Repo-URI '')
updates=$(debian_source Debian Repo-URI -updates)
security=$(debian_source Debian-Security Repo-URI -security)
keyring=$(debian_source Debian Signed-By '')
[[ $keyring == /* ]] || keyring= # apt also allows key ids and whole keys here; debootstrap knows files only

# Proxies and leniency about dates (a frozen mirror) hold for the hosts as they do here. Names of files do not: they stay behind.
apt_settings=$(apt-config dump | grep -E '^Acquire::(Check-Valid-Until|Check-Date|https?::)' \
  | grep -Ev '::(CaInfo|SslCert|SslKey|IssuerCert|CrlFile)' || true)
proxy=$(apt-config shell value Acquire::http::Proxy | sed "s/^value='\(.*\)'$/\1/")

shopt -s nullglob
certificates=(/usr/local/share/ca-certificates/*.crt)

recipe=$({
  cat -- "$0"
  printf '%s\n' "$suite" "$mirror" "$updates" "$security" "$keyring" "$apt_settings"
  cat -- /dev/null "${certificates[@]}"
} | sha256sum)
image=lab/host:$suite-${recipe:0:12}

if docker image inspect "$image" >/dev/null 2>&1; then
  echo "$image"
  exit
fi

work=$(mktemp -d /var/tmp/lab-host.XXXXXX)
trap 'rm -rf --one-file-system -- "$work"' EXIT
root=$work/root

[[ -z $proxy || -n ${http_proxy:-} ]] || export http_proxy=$proxy
debootstrap --variant=minbase --include="$packages" ${keyring:+--keyring="$keyring"} "$suite" "$root" ${mirror:+"$mirror"} >&2

[[ -z $updates ]] || echo "deb $updates $suite-updates main" >>"$root/etc/apt/sources.list"
[[ -z $security ]] || echo "deb $security $suite-security main" >>"$root/etc/apt/sources.list"
[[ -z $keyring ]] || install -m 0644 -- "$keyring" "$root/etc/apt/trusted.gpg.d/lab.gpg"
printf '%s\n' "$apt_settings" >"$root/etc/apt/apt.conf.d/90lab"
if ((${#certificates[@]})); then
  install -m 0644 -t "$root/usr/local/share/ca-certificates" -- "${certificates[@]}"
  chroot "$root" update-ca-certificates >&2
fi

# Every host gets an identity of its own at its first boot.
: >"$root/etc/machine-id"
rm -f "$root/etc/hostname" "$root/etc/resolv.conf" "$root/var/lib/dbus/machine-id"

# The kernel's modules are the machine's, and no timer may take apt's lock away from a role.
for unit in systemd-modules-load.service apt-daily.timer apt-daily-upgrade.timer; do
  ln -s /dev/null "$root/etc/systemd/system/$unit"
done

rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/cache/apt/*.bin "$root"/var/lib/apt/lists/*
touch --date=@0 "$root/var/lib/apt/lists" # else its age says that the lists are fresh

# An engine that may not give --privileged covers parts of /proc and makes /sys and the control groups read-only.
# A machine has them open, so they are opened before systemd starts.
cat >"$root/sbin/lab-init" <<'SCRIPT'
#!/bin/sh -e
mounted_under() {
  awk -v path="$1" 'index($2, path "/") == 1 { print $2 }' /proc/mounts
}
for path in $(mounted_under /proc); do
  umount "$path"
done
mount -o remount,rw /sys
for path in /sys/fs/cgroup $(mounted_under /sys/fs/cgroup); do
  mount -o remount,bind,rw "$path"
done
exec /sbin/init
SCRIPT
chmod 0755 "$root/sbin/lab-init"

# The variable is how systemd learns that it runs in a container.
tar -C "$root" --numeric-owner -c . \
  | docker import -c 'ENV container=docker' -c 'CMD ["/sbin/lab-init"]' - "$image" >&2
echo "built" >&2
echo "$image"
