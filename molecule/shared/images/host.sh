#!/usr/bin/env bash
# Makes the image of a lab host: a minimal system that boots systemd. Nothing that a role installs is in it.
#   host.sh BASE     prints the image's name; builds it first when this recipe's image does not exist yet
# BASE is bookworm or trixie: the packages come from where this machine's own apt gets Debian; a machine that has no
# Debian source (an Ubuntu, say) leaves the choice to mmdebstrap. Nothing is taken from an image registry.
# Or BASE is the path of a root file system of Debian or Ubuntu, a folder or a tar archive, as distributions publish
# them for containers: what it lacks of the packages below is installed from where its own apt gets them.
set -euo pipefail

((EUID == 0)) || exec sudo --preserve-env=DOCKER_HOST,http_proxy,https_proxy,no_proxy -- "$0" "$@"

base=${1:-}
case $base in
  bookworm | trixie) ;;
  /*) [[ -d $base || -f $base ]] || { echo "host.sh: there is no folder and no archive '$base'" >&2; exit 2; } ;;
  *)
    echo "host.sh: base is '$base'; allowed are: bookworm, trixie, the absolute path of a root file system" >&2
    exit 2
    ;;
esac

# systemd and dbus boot it; python3, python3-apt and sudo are what Ansible needs on any Debian host, check mode included.
packages=(systemd systemd-sysv dbus python3 python3-apt sudo ca-certificates iproute2 procps)

# debian_source LABEL FIELD SUFFIX: a field of this machine's apt source of that label, for the release's main archive ("")
# or a companion of it ("-updates"). Nothing when there is none.
sources=$(apt-get indextargets 'Created-By: Packages' 'Origin: Debian' 'Component: main')
debian_source() {
  awk -v label="$1" -v field="$2: " -v suffix="$3" '
      /^Label: / { its_label = substr($0, 8) }
      /^Release: / { companion = $2; sub(/^[^-]*/, "", companion) }
      index($0, field) == 1 { value = substr($0, length(field) + 1) }
      /^$/ { report() }
      END { report() }
      function report() {
        if (value != "" && its_label == label && companion == suffix && !done) { print value; done = 1 }
        value = ""
      }' <<<"$sources"
}

mirror=$(debian_source Debian Repo-URI '')
updates=$(debian_source Debian Repo-URI -updates)
security=$(debian_source Debian-Security Repo-URI -security)
keyring=$(debian_source Debian Signed-By '')
[[ $keyring == /* ]] || keyring= # apt also allows key ids and whole keys here; files only can be handed on

# Proxies and leniency about dates (a frozen mirror) hold for the hosts as they do here. Names of files do not: they stay behind.
apt_settings=$(apt-config dump | grep -E '^Acquire::(Check-Valid-Until|Check-Date|https?::)' \
  | grep -Ev '::(CaInfo|SslCert|SslKey|IssuerCert|CrlFile)' || true)

shopt -s nullglob
certificates=(/usr/local/share/ca-certificates/*.crt)

recipe=$({
  cat -- "$0"
  printf '%s\n' "$base" "$mirror" "$updates" "$security" "$keyring" "$apt_settings"
  cat -- /dev/null "${certificates[@]}"
  [[ $base != /* ]] || find "$base" -printf '%P %y %m %s %T@ %l\n' | LC_ALL=C sort
} | sha256sum)
name=${base##*/}
name=${name,,}
image=lab/host:${name//[^a-z0-9.]/-}-${recipe:0:12}

if docker image inspect "$image" >/dev/null 2>&1; then
  echo "$image"
  exit
fi

work=$(mktemp -d /var/tmp/lab-host.XXXXXX)
trap 'rm -rf --one-file-system -- "$work"' EXIT
root=$work/root
printf '%s\n' "$apt_settings" >"$work/apt_settings"

# The lists of packages stay: to download them again takes every host longer than all the rest of its start.
from_archive() {
  local archives=()
  if [[ -n $mirror ]]; then
    archives=("deb $mirror $base main")
    [[ -z $updates ]] || archives+=("deb $updates $base-updates main")
    [[ -z $security ]] || archives+=("deb $security $base-security main")
  fi
  # The hook spares bookworm usrmerge and all of Perl.
  mmdebstrap --variant=minbase --include="${packages[*]}" --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr \
    --aptopt="$work/apt_settings" ${keyring:+--keyring="$keyring"} --skip=cleanup/apt/lists "$base" "$root" "${archives[@]}"
  [[ -z $keyring ]] || install -m 0644 -- "$keyring" "$root/etc/apt/trusted.gpg.d/lab.${keyring##*.}"
}

from_root_file_system() {
  mkdir "$root"
  if [[ -d $base ]]; then cp -a -- "$base/." "$root"; else tar -C "$root" --numeric-owner -xf "$base"; fi
  cp -- "$work/apt_settings" "$root/etc/apt/apt.conf.d/99lab"
  cp --remove-destination --dereference /etc/resolv.conf "$root/etc/resolv.conf"
  # What is mounted is gone with its namespace. In a change of root no service can start, so none is tried.
  unshare --mount -- bash -euo pipefail -s "$root" "${packages[@]}" <<'SCRIPT'
root=$1
shift
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 0755 "$root/usr/sbin/policy-rc.d"
export DEBIAN_FRONTEND=noninteractive
chroot "$root" apt-get update </dev/null
chroot "$root" apt-get install --yes --no-install-recommends "$@" </dev/null
rm "$root/usr/sbin/policy-rc.d"
SCRIPT
}

if [[ $base == /* ]]; then from_root_file_system; else from_archive; fi >&2

if ((${#certificates[@]})); then
  install -m 0644 -t "$root/usr/local/share/ca-certificates" -- "${certificates[@]}"
  chroot "$root" update-ca-certificates >&2
fi

# Every host gets an identity of its own at its first boot.
: >"$root/etc/machine-id"
rm -f "$root/etc/hostname" "$root/etc/resolv.conf" "$root/var/lib/dbus/machine-id"

# The kernel's modules are the machine's, and no timer may take apt's lock away from a role.
for unit in systemd-modules-load.service apt-daily.timer apt-daily-upgrade.timer; do
  ln -sf /dev/null "$root/etc/systemd/system/$unit"
done

rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/cache/apt/*.bin

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
