"""What apt says of an upgrade, read from what dpkg and apt write."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest

Load = Callable[[str], ModuleType]

INSTALLED = {
    "docker.io": "containerd (>= 1.4~), runc (>= 1.0.0~), libc6 (>= 2.34), docker-cli | docker-ce-cli",
    "containerd": "runc (>= 1.0), libc6",
    "runc": "libseccomp2",
    "libc6": "",
    "libseccomp2": "",
    "default-jre-headless": "java-common (= 0.74), openjdk-17-jre-headless (>= 17~)",
    "openjdk-17-jre-headless": "ca-certificates-java, libc6",
    "java-common": "",
}
UPGRADE = """\
Reading package lists...
The following packages will be upgraded:
  docker.io
1 upgraded, 1 newly installed, 0 to remove and 3 not upgraded.
Inst runc [1.1.5+ds1-1] (1.1.5+ds1-1+deb12u1 Debian:12.8/stable [amd64])
Inst tini (0.19.0-1 Debian:12.8/stable [amd64])
Inst docker.io [20.10.24+dfsg1-1] (20.10.25+dfsg1-1 Debian-Security:12/stable-security [amd64]) []
Conf docker.io (20.10.25+dfsg1-1 Debian-Security:12/stable-security [amd64])
"""


class Host:
    """Answers as dpkg-query, apt-mark and apt-get do; keeps what was asked."""

    def __init__(self, output: str = "", *, errors: str = "", held: str = "", automatic: str = "") -> None:
        self.output = output
        self.errors = errors
        self.held = held
        self.automatic = automatic
        self.simulated: list[str] = []

    def __call__(self, command: list[str]) -> tuple[int, str, str]:
        if command[0] == "dpkg-query":
            names = [name for name in command[3:] if name in INSTALLED]
            lines = [f"installed\t{name}\t, {INSTALLED[name]}" for name in names]
            return int(len(names) < len(command[3:])), "\n".join(lines), ""
        if command[:2] == ["apt-mark", "showhold"]:
            return 0, self.held, ""
        if command[:2] == ["apt-mark", "showauto"]:
            return 0, self.automatic, ""
        assert command[:2] == ["apt-get", "--simulate"]
        self.simulated = command[command.index("install") + 1 :]
        return (100 if self.errors else 0), self.output, self.errors


@pytest.fixture(scope="module")
def module(load: Load) -> ModuleType:
    return load("plugins/modules/package_updates.py")


def test_companions_come_along_and_other_dependencies_do_not(module: ModuleType) -> None:
    host = Host()
    module.updates(host, ["docker.io"], ["containerd", "runc"])
    assert host.simulated == ["containerd", "docker.io", "runc"]


def test_companions_are_found_behind_packages_of_no_content(module: ModuleType) -> None:
    host = Host()
    module.updates(host, ["default-jre-headless"], ["openjdk-*-jre-headless"])
    assert host.simulated == ["default-jre-headless", "openjdk-17-jre-headless"]


def test_a_version_that_was_asked_for_is_the_one_that_apt_gets(module: ModuleType) -> None:
    host = Host()
    module.updates(host, ["docker.io=20.10.24", "runc=1.1"], ["containerd", "runc"])
    assert host.simulated == ["containerd", "docker.io=20.10.24", "runc=1.1"]


def test_what_is_not_installed_is_left_to_the_deployment(module: ModuleType) -> None:
    host = Host()
    assert module.updates(host, ["moby-engine"], ["*"]) == {"updates": [], "automatic": [], "held": []}
    assert host.simulated == []


def test_what_is_held_back_stays(module: ModuleType) -> None:
    host = Host(held="containerd\nvim\n")
    result = module.updates(host, ["docker.io"], ["containerd", "runc"])
    assert host.simulated == ["docker.io", "runc"]
    assert result["held"] == ["containerd"]


def test_what_would_change(module: ModuleType) -> None:
    host = Host(UPGRADE, automatic="runc\n")
    assert module.updates(host, ["docker.io"], ["runc"]) == {
        "updates": [
            {"package": "runc", "from": "1.1.5+ds1-1", "to": "1.1.5+ds1-1+deb12u1"},
            {"package": "tini", "from": "", "to": "0.19.0-1"},
            {"package": "docker.io", "from": "20.10.24+dfsg1-1", "to": "20.10.25+dfsg1-1"},
        ],
        "automatic": ["runc"],
        "held": [],
    }


def test_nothing_is_removed_to_make_room(module: ModuleType) -> None:
    host = Host(UPGRADE + "Remv podman-docker [4.3]\n")
    with pytest.raises(module.RefusedError, match=r"apt would remove podman-docker\. Remove"):
        module.updates(host, ["docker.io"], [])


def test_says_what_apt_says(module: ModuleType) -> None:
    host = Host(errors="W: x\nE: Version '9' for 'docker.io' was not found\n")
    with pytest.raises(module.RefusedError, match=r"^apt can't upgrade docker\.io=9: Version '9' for"):
        module.updates(host, ["docker.io=9"], [])
