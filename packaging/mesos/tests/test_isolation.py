"""The isolators of the Mesos containerizer: cgroup version 1, which this machine has, and version 2.

Version 2 is a private view, and the controllers are version 1's: the limits themselves are seen in vm/.
"""

from __future__ import annotations

import base64
import json
import subprocess
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import images
import pytest
from cgroup2_scenario import name_of, statistics_of, wait_registered
from isolation_scenario import (
    AGENT_FLAGS,
    MEBIBYTE,
    Message,
    Stage,
    memory_is_limited,
    nested_containers,
    nobody_gets_away,
    nothing_is_left,
    resources,
    survives_its_agent,
)
from mesos_testbed import (
    STAGED_TREE,
    Agent,
    Certificates,
    Framework,
    Master,
    PrivateDocker,
    eventually,
    socket_flags,
)
from test_cgroup2 import VERSION_2_ONLY

pytestmark = pytest.mark.integration

HIERARCHIES = Path("/sys/fs/cgroup")
PRIVATE_MOUNTS = ["unshare", "--mount", "--propagation", "private"]
LINUX: Mapping[str, object] = {**AGENT_FLAGS, "launcher": "linux"}


@contextmanager
def stage(
    folder: Path,
    root: Path,
    flags: Mapping[str, object],
    wrapper: list[str],
    members: str,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Stage]:
    """One agent of the Mesos containerizer alone."""
    engine = PrivateDocker(folder / "engine")  # never started
    with Master(folder / "master") as master:
        agent = Agent(
            folder / "agent", master.address, engine, flags, environment=environment, wrapper=wrapper
        )
        with agent, Framework(master.address) as framework:
            wait_registered(agent, master, 30)
            yield Stage(master, agent, framework, root, members)
            framework.teardown()
            groups = f"*/{root.name}/*/"
            eventually(lambda: not list(HIERARCHIES.glob(groups)), "no control group is left")


@pytest.fixture
def cgroups_root() -> Iterator[str]:
    """A name that no other agent has; nothing of it is left in the end."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    yield name
    for cgroup in HIERARCHIES.glob(f"*/{name}"):
        if not cgroup.parent.is_symlink():
            cgroup.rmdir()


@pytest.fixture
def version_1(folder: Path, cgroups_root: str) -> Iterator[Stage]:
    flags = {**LINUX, "cgroups_root": cgroups_root, "cgroups_enable_cfs": True}
    root = HIERARCHIES / "freezer" / cgroups_root
    with stage(folder, root, flags, PRIVATE_MOUNTS, "cgroup.procs") as played:
        yield played


def test_version_1(version_1: Stage) -> None:
    task = version_1.run("sleep 1000", resources=resources(0.5, 64))
    memory = str(96 * MEBIBYTE)
    assert of_hierarchy(version_1, task, "memory", "memory.limit_in_bytes") == memory
    assert of_hierarchy(version_1, task, "memory", "memory.soft_limit_in_bytes") == memory
    assert of_hierarchy(version_1, task, "cpu", "cpu.shares") == "614"
    assert of_hierarchy(version_1, task, "cpu", "cpu.cfs_quota_us") == "60000"
    # The command, too, and not its parent alone.
    members = set(of_hierarchy(version_1, task, "memory", "cgroup.procs").split())
    assert members == set(of_hierarchy(version_1, task, "freezer", "cgroup.procs").split())
    assert statistics_of(version_1.agent, task)["mem_total_bytes"] > 0
    version_1.kill(task)
    memory_is_limited(version_1)
    nobody_gets_away(version_1)
    survives_its_agent(version_1)
    nothing_is_left(version_1)


def of_hierarchy(played: Stage, task: Message, hierarchy: str, file: str) -> str:
    """A file of a container's control group in one of the hierarchies of version 1."""
    cgroup = HIERARCHIES / hierarchy / played.cgroup(task).relative_to(HIERARCHIES / "freezer")
    return (cgroup / file).read_text().strip()


def test_version_2_without_its_controllers(folder: Path, cgroups_root: str) -> None:
    flags = {**AGENT_FLAGS, "isolation": "cgroups/all", "cgroups_root": cgroups_root, "launcher": "posix"}
    # The private view's groups are also in the machine's.
    root = HIERARCHIES / "unified" / cgroups_root
    with stage(folder, root, flags, VERSION_2_ONLY, "leaf/cgroup.procs") as played:
        nobody_gets_away(played)
        survives_its_agent(played)
        task, _ = nested_containers(played)
        played.kill(task)
        nothing_is_left(played)


IMAGES = {
    "isolation": ",".join(
        [
            "cgroups/cpu,cgroups/mem,cgroups/pids,cgroups/devices,cgroups/blkio",
            "namespaces/pid,namespaces/ipc,filesystem/linux,docker/runtime,disk/du,volume/secret",
            "posix/rlimits,linux/nnp",
        ]
    ),
    "image_providers": "docker",
    "image_provisioner_backend": "copy",
    "enforce_container_disk_quota": True,
    "container_disk_watch_interval": "500ms",
}


@contextmanager
def with_images(
    folder: Path, cgroups_root: str, registry: object, environment: Mapping[str, str] | None = None
) -> Iterator[Stage]:
    """An agent for images without Docker Engine."""
    stores = {"docker_store_dir": folder / "store", "appc_store_dir": folder / "appc"}
    flags = {**LINUX, **IMAGES, **stores, "cgroups_root": cgroups_root, "docker_registry": registry}
    root = HIERARCHIES / "freezer" / cgroups_root
    with stage(folder, root, flags, PRIVATE_MOUNTS, "cgroup.procs", environment) as played:
        yield played


def output(played: Stage, task: Message, lines: int) -> list[str]:
    """What a task has written to stdout, once that is so many lines."""

    def written() -> list[str] | None:
        found = (played.sandbox(task) / "stdout").read_text().splitlines()
        return found if len(found) >= lines else None

    return eventually(written, f"{lines} lines of output")


def test_images_namespaces_volumes_and_quotas(folder: Path, cgroups_root: str) -> None:
    images.write_archive(folder / "images")
    with with_images(folder, cgroups_root, folder / "images") as played:
        task = played.run(
            "cat /etc/image; echo $FROM_IMAGE; echo $$; ls /proc/sys/kernel/hostname; sleep 1000",
            container=images.container(),
        )
        content, variable, pid, _ = output(played, task, 4)
        assert (content, variable) == ("a file of the image", "yes")
        assert int(pid) < 10, "a process namespace of its own"
        played.kill(task)

        task = played.run("", command={"shell": False}, container=images.container())
        assert output(played, task, 1) == ["started by the image"]
        played.kill(task)

        host = folder / "host"
        host.mkdir()
        (host / "file").write_text("a file of the host\n")
        task = played.run(
            "cat /data/file && ls /tmp/own && cd $MESOS_SANDBOX && cat secret image/etc/image; sleep 1000",
            container=images.container(volumes=volumes(host)),
        )
        assert output(played, task, 3) == ["a file of the host", "secretly", "a file of the image"]
        played.kill(task)

        disk = {"name": "disk", "type": "SCALAR", "scalar": {"value": 5}}
        greedy = played.run(
            "dd if=/dev/zero of=file bs=1M count=20; sleep 1000",
            "TASK_FAILED",
            resources=[*resources(0.1, 32), disk],
        )
        update = played.framework.wait_state(name_of(greedy), "TASK_FAILED")
        assert update["reason"] == "REASON_CONTAINER_LIMITATION_DISK", update
        assert "exceeds quota" in update["message"], update
        nothing_is_left(played)


def volumes(host: Path) -> list[Message]:
    """One of each kind that needs no plugin."""
    own = {"type": "SANDBOX_PATH", "sandbox_path": {"type": "SELF", "path": "own"}}
    secret = {"type": "VALUE", "value": {"data": base64.b64encode(b"secretly\n").decode()}}
    kinds: list[Message] = [
        {"container_path": "/data", "host_path": str(host)},
        {"container_path": "/tmp/own", "source": own},
        {"container_path": "secret", "source": {"type": "SECRET", "secret": secret}},
        {"container_path": "image", "image": images.container()["mesos"]["image"]},
    ]
    return [{"mode": "RW", **kind} for kind in kinds]


def test_an_image_of_a_registry_over_tls(folder: Path, cgroups_root: str) -> None:
    certificates = Certificates.make(folder / "tls")
    trust = {"CURL_CA_BUNDLE": str(certificates.authority)}  # Mesos calls curl
    with (
        images.registry(certificates) as url,
        with_images(folder, cgroups_root, url, trust) as played,
    ):
        task = played.run("stat -c %a /bin/busybox; sleep 1000", container=images.container())
        assert output(played, task, 1) == ["4755"]
        played.kill(task)


def network(folder: Path, name: str, subnet: str, **plugin: object) -> None:
    """The configuration of a CNI network that a bridge of its own carries."""
    bridge = {
        "type": "bridge",
        "bridge": f"test-{name}",
        "isGateway": True,
        "ipam": {"type": "host-local", "subnet": subnet, "dataDir": str(folder / "addresses")},
    }
    wrapped = {**plugin, "delegate": bridge} if plugin else bridge
    (folder / f"{name}.conf").write_text(json.dumps({"cniVersion": "0.2.0", "name": name, **wrapped}))


@pytest.fixture
def networks(folder: Path) -> Iterator[Path]:
    configurations = folder / "cni"
    configurations.mkdir()
    network(configurations, "plain", "172.30.77.0/24")
    network(configurations, "mapped", "172.30.78.0/24", type="mesos-cni-port-mapper")
    yield configurations
    for name in ("plain", "mapped"):
        subprocess.run(["ip", "link", "delete", f"test-{name}"], check=False, capture_output=True)


def page(address: str) -> str:
    with urllib.request.urlopen(f"http://{address}/", timeout=5) as answer:
        return str(answer.read().decode().strip())


def rules(container: str) -> str:
    """What iptables has of a container."""
    table = subprocess.run(["iptables", "-t", "nat", "-S"], check=True, capture_output=True, text=True)
    return "\n".join(line for line in table.stdout.splitlines() if container in line)


def test_container_networks(folder: Path, cgroups_root: str, networks: Path) -> None:
    plugins = f"/usr/lib/cni:{STAGED_TREE}/usr/libexec/mesos"
    flags = {
        **LINUX,
        "isolation": "cgroups/cpu,cgroups/mem,cgroups/pids,filesystem/linux,network/cni",
        "cgroups_root": cgroups_root,
        "network_cni_config_dir": networks,
        "network_cni_plugins_dir": plugins,
        **socket_flags(folder),
    }
    root = HIERARCHIES / "freezer" / cgroups_root
    serve = "mkdir www; hostname > www/index.html; exec busybox httpd -f -p 8080 -h www"
    with stage(folder, root, flags, PRIVATE_MOUNTS, "cgroup.procs") as played:
        container = {"type": "MESOS", "hostname": "box", "network_infos": [{"name": "plain"}]}
        task = played.run(serve, container=container)
        [address] = address_of(played, task)
        assert eventually(lambda: page(f"{address}:8080"), "the page") == "box"
        played.kill(task)
        eventually(lambda: not list(networks.glob("addresses/plain/172.*")), "its address is free")

        ports = {"host_port": 31500, "container_port": 8080, "protocol": "tcp"}
        container["network_infos"] = [{"name": "mapped", "port_mappings": [ports]}]
        asked = {"name": "ports", "type": "RANGES", "ranges": {"range": [{"begin": 31500, "end": 31500}]}}
        task = played.run(serve, container=container, resources=[*resources(0.1, 32), asked])
        assert eventually(lambda: page("172.30.78.1:31500"), "the page") == "box"
        identity = played.sandbox(task).name
        assert rules(identity)
        played.kill(task)
        eventually(lambda: not rules(identity), "its ports are free")


def address_of(played: Stage, task: Message) -> list[str]:
    """The addresses that a task's first update tells."""
    [update, *_] = [u for u in played.framework.of(name_of(task)) if u["state"] == "TASK_RUNNING"]
    [info] = update["container_status"]["network_infos"]
    return [address["ip_address"] for address in info["ip_addresses"]]
