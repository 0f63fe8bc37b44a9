"""What the launcher of the agent does beyond handing its flags on, on a host with cgroup version 1."""

from __future__ import annotations

import json
import re
import secrets
import socket
from pathlib import Path

import pytest
from mesos_programs import refusal
from mesos_testbed import Agent, Framework, Master, PrivateDocker, docker_task, eventually
from mesos_testbed.mesos import Flags

pytestmark = pytest.mark.integration

# Enough for an agent that runs no task, and quicker to start.
IDLE: Flags = {"containerizers": "mesos"}


def private_file(path: Path, content: str) -> Path:
    path.write_text(content)
    path.chmod(0o600)
    return path


def test_attributes_and_resources_reach_the_master(folder: Path, engine: PrivateDocker) -> None:
    flags = {
        **IDLE,
        "attributes": "rack:r1;ssd:1;ids:[1-3]",
        "resources": "cpus:1.5;mem:100;disk:50;ports:[80-90];gold(gone):3",
        "default_role": "base",
    }
    with Master(folder) as master, Agent(folder, master.address, engine, flags) as agent:
        agent.wait_registered(master)
        [shown] = master.agents()
    assert shown["attributes"] == {"rack": "r1", "ssd": 1.0, "ids": "[1-3]"}
    assert {name: shown["resources"][name] for name in ("cpus", "mem", "disk", "ports")} == {
        "cpus": 1.5,
        "mem": 100.0,
        "disk": 50.0,
        "ports": "[80-90]",
    }
    assert set(shown["reserved_resources"]) == {"base", "gone"}


def test_an_address_can_be_discovered(folder: Path, engine: PrivateDocker) -> None:
    flags = {
        **IDLE,
        "ip_discovery_command": "hostname >/dev/null; echo 127.0.0.1",
        "advertise_ip": "127.0.0.1",
    }
    with Master(folder) as master:
        agent = Agent(folder, master.address, engine, {**flags, "ip6_discovery_command": "echo ::1"})
        agent.command = [word for word in agent.command if not word.startswith("--ip=")]
        with agent:
            agent.wait_registered(master)
            assert master.agents()[0]["pid"].endswith(f"@127.0.0.1:{agent.flags['port']}")
    message = refusal("mesos-slave", "--master=m:1", f"--work_dir={folder}", "--port=0", "--ip6=nonsense")
    assert "nonsense" in message


def test_an_agent_proves_who_it_is(folder: Path, engine: PrivateDocker) -> None:
    good = {"principal": "agent", "secret": "right"}
    known = private_file(folder / "credentials", json.dumps({"credentials": [good]}))
    own = private_file(folder / "good", json.dumps(good))
    other = private_file(folder / "bad", json.dumps({**good, "secret": "wrong"}))
    flags = {"authenticate_agents": True, "credentials": str(known)}
    with Master(folder, flags) as master:
        with Agent(folder / "1", master.address, engine, {**IDLE, "credential": str(own)}) as agent:
            agent.wait_registered(master)
            assert "Successfully authenticated with master" in agent.log()
        stranger = Agent(folder / "2", master.address, engine, {**IDLE, "credential": str(other)})
        stranger.spawn()
        assert stranger.wait() == 1
        assert "refused authentication" in stranger.log()
        with Agent(folder / "3", master.address, engine, IDLE):
            eventually(lambda: "because it is not authenticated" in master.log(), "a refusal")
        assert len(master.get("/slaves")["slaves"]) == 1


def test_acls_of_an_agent_are_obeyed(folder: Path, engine: PrivateDocker) -> None:
    rules = {"get_endpoints": [{"principals": {"type": "ANY"}, "paths": {"type": "NONE"}}]}
    flags = {**IDLE, "acls": json.dumps(rules), "authorizer": "local"}
    with Master(folder) as master, Agent(folder, master.address, engine, flags) as agent:
        agent.wait_registered(master)  # it answers a moment before it obeys
        with pytest.raises(OSError, match="403"):
            agent.get("/logging/toggle")
        with pytest.raises(OSError, match="403"):
            agent.get("/monitor/statistics")


def test_the_master_can_be_named_in_a_file(folder: Path, engine: PrivateDocker) -> None:
    with Master(folder) as master:
        named = private_file(folder / "master-address", f"{master.address}\n")
        with Agent(folder, f"file://{named}", engine, IDLE) as agent:
            agent.wait_registered(master)


def test_waiting_containers_are_listed(folder: Path, engine: PrivateDocker) -> None:
    with Master(folder) as master, Agent(folder, master.address, engine, IDLE) as agent:
        agent.wait_registered(master)
        assert agent.get("/containerizer/debug") == {"pending": []}


def test_executors_can_use_a_socket(folder: Path, engine: PrivateDocker) -> None:
    path = folder / "agent.sock"
    flags = {**IDLE, "http_executor_domain_sockets": True, "domain_socket_location": str(path)}
    with Master(folder) as master, Agent(folder, master.address, engine, flags) as agent:
        agent.wait_registered(master)
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(path))
            connection.sendall(b"POST /slave(1)/api/v1/executor HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.1 ")
        assert path.stat().st_mode & 0o777 == 0o666


def test_executors_get_tokens_and_tasks_run(folder: Path, engine: PrivateDocker) -> None:
    key = private_file(folder / "key", secrets.token_hex(32))
    flags = {"authenticate_http_executors": True, "http_authenticators": "jwt", "jwt_secret_key": str(key)}
    with Master(folder) as master, Agent(folder, master.address, engine, flags) as agent:
        agent.wait_registered(master)
        with Framework(master.address) as framework:
            task = docker_task()
            framework.launch([task])
            framework.wait_state(task["task_id"]["value"], "TASK_RUNNING")
            statistics = eventually(lambda: agent.get("/monitor/statistics"), "statistics")
            assert statistics[0]["statistics"]["mem_limit_bytes"] == 32 * 1024 * 1024
            [executor] = agent.get("/state")["frameworks"][0]["executors"]
            assert executor["source"] == task["task_id"]["value"]
            framework.kill(task["task_id"]["value"])
            framework.wait_state(task["task_id"]["value"], "TASK_KILLED")


def test_an_agent_enters_its_own_cgroup(folder: Path, engine: PrivateDocker) -> None:
    root = f"testbed-{secrets.token_hex(4)}"
    hierarchy = Path("/sys/fs/cgroup/cpu")
    if not (hierarchy / "tasks").exists():
        hierarchy = Path(re.findall(r"(\S+) cgroup .*\bcpu\b", Path("/proc/mounts").read_text())[0])
    flags = {**IDLE, "agent_subsystems": "cpu", "cgroups_root": root}
    try:
        with Master(folder) as master, Agent(folder, master.address, engine, flags) as agent:
            assert re.search(rf":cpu(,cpuacct)?:/{root}/slave$", cgroups(agent.pid), re.MULTILINE)
    finally:
        for cgroup in (hierarchy / root / "slave", hierarchy / root):
            if cgroup.exists():
                cgroup.rmdir()


def cgroups(pid: int) -> str:
    return Path(f"/proc/{pid}/cgroup").read_text()


def test_systemd_support_needs_systemd(folder: Path) -> None:
    message = refusal(
        "mesos-slave",
        "--master=127.0.0.1:1",
        f"--work_dir={folder}",
        "--port=0",
        "--launcher=posix",
        "--systemd_enable_support",
        "--systemd_runtime_directory=/nonexistent",
    )
    assert "Failed to locate systemd runtime directory: /nonexistent" in message
