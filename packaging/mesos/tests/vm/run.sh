#!/usr/bin/env bash
# Boots a virtual machine with cgroup version 2 only, installs the package in it, and plays vm/guest.py there. The machine
# is emulated, so that no hardware support is needed: six to eight minutes.
#   run.sh DEB       exit status 0 when the guest's verdict is PASSED
set -euo pipefail

deb=$(realpath "$1")
here=$(dirname "$(realpath "$0")")
package=$(dirname "$(dirname "$here")")
repository=$(dirname "$(dirname "$package")")
work=$(mktemp -d /var/tmp/mesos-vm.XXXXXX)
container=lab-vm-$$
cleanup() {
  docker rm --force "$container" >/dev/null 2>&1 || true
  rm -rf --one-file-system -- "$work"
}
trap cleanup EXIT
root=$work/root

say() { printf '== %(%H:%M:%S)T %s\n' -1 "$*"; }

say "A lab host's root file system, with a kernel, Docker Engine and what the package depends on"
image=$("$repository/molecule/shared/images/host.sh" bookworm)
docker run --name "$container" --network host --volume "$deb:/tmp/$(basename "$deb"):ro" "$image" bash -ec '
  export DEBIAN_FRONTEND=noninteractive
  exec > /var/log/prepare.log 2>&1
  apt-get update
  apt-get install --yes --no-install-recommends \
    linux-image-cloud-amd64 initramfs-tools apparmor docker.io busybox-static python3-typing-extensions /tmp/*.deb
  dpkg --purge mesos
' || { docker cp "$container:/var/log/prepare.log" - | tail -n 20 >&2; exit 1; }
mkdir "$root"
docker export "$container" | tar -C "$root" --numeric-owner -x
docker rm "$container" >/dev/null

# The guest finds the test where the repository has it; the "staged tree" is the guest itself.
mkdir -p "$root/opt/mesos/build"
ln -s / "$root/opt/mesos/build/root"
cp -r "$package/testbed" "$root/opt/mesos/"
cp -r "$package/tests" "$root/opt/mesos/"
cp "$deb" "$root/opt/mesos.deb"
printf '127.0.0.1 localhost vm\n' >"$root/etc/hosts"
echo vm >"$root/etc/hostname"
cat >"$root/etc/systemd/system/mesos-test.service" <<'UNIT'
[Unit]
Description=Test of the Mesos package
After=multi-user.target
SuccessAction=poweroff-force
FailureAction=poweroff-force

[Service]
Type=oneshot
Environment=PYTHONPATH=/opt/mesos/testbed:/opt/mesos/tests PYTHONUNBUFFERED=1
ExecStartPre=/usr/bin/dpkg --install /opt/mesos.deb
ExecStart=/usr/bin/python3 /opt/mesos/tests/vm/guest.py
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS0
TimeoutStartSec=1200

[Install]
WantedBy=default.target
UNIT
mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
ln -s /etc/systemd/system/mesos-test.service "$root/etc/systemd/system/multi-user.target.wants/"
for unit in docker.service docker.socket containerd.service console-getty.service serial-getty@ttyS0.service; do
  ln -sf /dev/null "$root/etc/systemd/system/$unit" # the test starts an engine of its own
done

cp "$root"/boot/vmlinuz-* "$work/kernel"
cp "$root"/boot/initrd.img-* "$work/initrd"
truncate --size 4G "$work/disk"
mkfs.ext4 -q -E lazy_itable_init=1 -O ^has_journal -d "$root" "$work/disk"
rm -rf --one-file-system -- "$root"

say "Booting"
timeout 1500 qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 2 -m 3072 -net none -display none -no-reboot \
  -drive "file=$work/disk,format=raw,if=virtio,cache=unsafe" -kernel "$work/kernel" -initrd "$work/initrd" \
  -append 'root=/dev/vda rw console=ttyS0 quiet' -serial stdio -monitor none </dev/null | tee "$work/console"
say "The machine is off"
grep -q '^VERDICT: PASSED' "$work/console"
