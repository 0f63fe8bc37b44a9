"""What the launcher of the master does beyond handing its flags on: each duty is seen to have its effect."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from mesos_programs import PACKAGE, leading, refusal
from mesos_testbed import STAGED_TREE, Agent, Framework, Master, PrivateDocker, eventually, free_port

pytestmark = pytest.mark.integration

CREDENTIALS = {"credentials": [{"principal": "operator", "secret": "right"}]}


def status(master: Master, path: str, credential: tuple[str, str] | None = None) -> tuple[int, str]:
    request = urllib.request.Request(f"http://{master.address}{path}")
    if credential:
        request.add_header(
            "Authorization", "Basic " + base64.b64encode(":".join(credential).encode()).decode()
        )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def written(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content))
    path.chmod(0o600)
    return path


def test_a_master_without_zookeeper_leads(folder: Path) -> None:
    with Master(folder) as master:
        state = leading(master)
    assert state["leader"] == f"master@{master.address}"
    assert state["version"] == "1.11.0"


def test_its_registry_outlives_it(folder: Path, engine: PrivateDocker) -> None:
    flags = {"registry": "replicated_log", "work_dir": f"{folder}/registry"}
    with Master(folder, flags) as master, Agent(folder, master.address, engine) as agent:
        agent.wait_registered(master)
        agent.kill9()
        master.kill9()
        master.start()
        recovered = eventually(
            lambda: master.get("/state").get("recovered_slaves"), "the agent in the registry"
        )
    assert [slave["hostname"] for slave in recovered] == ["localhost"]


def test_an_address_can_be_discovered_and_another_advertised(folder: Path) -> None:
    port = free_port()
    flags = {
        "ip_discovery_command": "echo ' 127.0.0.1 '",
        "advertise_ip": "127.0.0.2",
        "advertise_port": port,
    }
    master = Master(folder, flags)
    master.command = [word for word in master.command if not word.startswith("--ip=")]
    with master:
        assert leading(master)["pid"] == f"master@127.0.0.2:{port}"


def test_http_credentials_are_asked_for(folder: Path) -> None:
    flags = {
        "credentials": str(written(folder / "credentials", CREDENTIALS)),
        "authenticate_http_readonly": True,
        "authenticate_http_readwrite": True,
    }
    with Master(folder, flags) as master:
        # It answers a moment before it knows whom it may answer to.
        eventually(lambda: status(master, "/state")[0] == 401, "a refusal")
        assert status(master, "/state", ("operator", "wrong"))[0] == 401
        assert status(master, "/state", ("operator", "right"))[0] == 200
        assert status(master, "/logging/toggle", ("operator", "right"))[0] == 200  # an endpoint of libprocess


def test_acls_are_obeyed(folder: Path) -> None:
    rules = {
        "permissive": False,
        "register_frameworks": [{"principals": {"values": ["operator"]}, "roles": {"values": ["*"]}}],
        "get_endpoints": [{"principals": {"values": ["operator"]}, "paths": {"values": ["/logging/toggle"]}}],
    }
    credentials = {"credentials": [*CREDENTIALS["credentials"], {"principal": "guest", "secret": "g"}]}
    flags = {
        "credentials": str(written(folder / "credentials", credentials)),
        "acls": f"file://{written(folder / 'acls', rules)}",
        "authenticate_http_readwrite": True,
        "authenticate_http_frameworks": True,
        "http_framework_authenticators": "basic",
    }
    with Master(folder, flags) as master:
        # It answers before it asks who somebody is, and may know by then what nobody is allowed to do.
        eventually(lambda: status(master, "/logging/toggle", ("guest", "wrong"))[0] == 401, "authentication")
        eventually(lambda: status(master, "/logging/toggle", ("guest", "g"))[0] == 403, "authorization")
        assert status(master, "/logging/toggle", ("operator", "right"))[0] == 200

        with Framework(master.address, {"principal": "operator"}, ("operator", "right")) as framework:
            assert framework.id
        guest = Framework(master.address, {"principal": "guest"}, ("guest", "g"))
        guest.subscribe()
        assert not guest.id
        assert "Not authorized to register framework" in guest.errors[0]
        stranger = Framework(master.address, {"principal": "operator"}, ("operator", "wrong"))
        with pytest.raises(PermissionError, match="401"):
            stranger.subscribe()


def test_firewall_rules_close_endpoints(folder: Path) -> None:
    rules = {"disabled_endpoints": {"paths": ["/master/flags", "/metrics/snapshot"]}}
    with Master(folder, {"firewall_rules": json.dumps(rules)}) as master:
        leading(master)
        assert status(master, "/master/flags") == (403, "Endpoint '/master/flags' is disabled")
        assert status(master, "/metrics/snapshot")[0] == 403
        assert status(master, "/state")[0] == 200


def test_agents_are_removed_no_faster_than_allowed(folder: Path, engine: PrivateDocker) -> None:
    flags = {
        "agent_removal_rate_limit": "1/1hrs",
        "agent_ping_timeout": "1secs",
        "max_agent_ping_timeouts": 1,
    }
    mesos_only = {"containerizers": "mesos"}
    with (
        Master(folder, flags) as master,
        Agent(folder / "1", master.address, engine, mesos_only) as first,
        Agent(folder / "2", master.address, engine, mesos_only) as second,
    ):
        first.wait_registered(master, 2)
        first.kill9()
        second.kill9()

        def removals() -> dict[str, float]:
            metrics = master.get("/metrics/snapshot")
            return {end: metrics[f"master/slave_unreachable_{end}"] for end in ("scheduled", "completed")}

        eventually(lambda: removals() == {"scheduled": 2, "completed": 1}, "two scheduled, one done")


def test_memory_can_be_profiled(folder: Path) -> None:
    with Master(folder / "on", {"memory_profiling": True}) as master:
        leading(master)
        assert status(master, "/memory-profiler/state")[0] == 200
    with Master(folder / "off") as master:
        leading(master)
        assert status(master, "/memory-profiler/state")[0] == 404


def test_logs_go_where_they_should(folder: Path) -> None:
    flags = {
        "log_dir": f"{folder}/logs",
        "quiet": True,
        "logbufsecs": 0,
        "external_log_file": "/dev/null",
        "initialize_driver_logging": False,
    }
    with Master(folder, flags) as master:
        leading(master)
        assert "Elected as the leading master!" in (folder / "logs/mesos-master.INFO").read_text()
        assert "Elected" not in master.log()
        assert master.get("/state")["external_log_file"] == "/dev/null"
    with Master(folder / "2", {"logging_level": "ERROR"}) as master:
        leading(master)
        assert "Elected" not in master.log()


MODULE = r"""
#include <fstream>
#include "abi/modules.hpp"

namespace mesos::modules {
class Anonymous { public: virtual ~Anonymous() {} };
struct AnonymousModule : ModuleBase { Anonymous* (*create)(const Parameters&); };
}

using namespace mesos::modules;

static Anonymous* create(const mesos::Parameters&)
{
  std::ofstream(CREATED) << "yes";
  return new Anonymous;
}

extern "C" AnonymousModule test_Module, test_Hook;
AnonymousModule test_Module = {{"2", "1.11.0", "Anonymous", "A", "a@b.c", "A test.", nullptr}, create};
"""


# As a module is linked: it must find the library that is loaded already.
LIBMESOS = [
    f"-L{STAGED_TREE}/usr/lib/mesos",
    "-l:libmesos-1.11.0.so",
    "-Wl,--allow-shlib-undefined",
]


def test_modules_are_loaded(folder: Path) -> None:
    source, library = folder / "test.cpp", folder / "libtest.so"
    source.write_text(MODULE)
    created = f'-DCREATED="{folder}/created"'
    compiler = ["g++", "-std=c++17", "-shared", "-fPIC", f"-I{PACKAGE}/launcher", created]
    subprocess.run([*compiler, "-o", library, source, "-Wl,--no-as-needed", *LIBMESOS], check=True)
    modules = {"libraries": [{"file": str(library), "modules": [{"name": "test_Module"}]}]}
    with Master(folder, {"modules": json.dumps(modules)}) as master:
        eventually((folder / "created").exists, "the module is created")
        maps = Path(f"/proc/{master.pid}/maps").read_text()
        assert str(library) in maps
        assert len(set(re.findall(r"\S*/libmesos\S*\.so$", maps, re.MULTILINE))) == 1

    (folder / "modules").mkdir()
    written(folder / "modules/test.json", modules)
    (folder / "created").unlink()
    with Master(folder, {"modules_dir": f"{folder}/modules"}):
        eventually((folder / "created").exists, "the module is created")

    message = refusal("mesos-master", f"--modules={json.dumps(modules)}", "--hooks=test_Module", "--port=0")
    assert "Error installing hooks: No hook module named 'test_Module' available" in message
