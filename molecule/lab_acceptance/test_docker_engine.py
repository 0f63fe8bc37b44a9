"""A slave's Docker Engine has its own settings, is upgraded, or comes from elsewhere: the role copes.

The role runs alone, on one slave whose containers stay throughout.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

import pytest
from lab_cluster import Cluster, eventually
from lab_site import Run, playbook

CONFIG = "/etc/docker/daemon.json"
KEPT = "/var/tmp/daemon.json-of-the-lab"  # noqa: S108
REGISTRY_PORT = 5443
AUTHORITY = "/var/tmp/lab-ca"  # noqa: S108

Role = Callable[..., Run]


@pytest.fixture
def slave(lab: Cluster) -> Generator[Any, None, None]:
    """A slave's testinfra host. Its containers must stay."""
    name = next(iter(lab.containers().values())).host
    host = lab.host(name)
    containers = {key for key, container in lab.containers().items() if container.host == name}
    yield host
    assert {key for key, container in lab.containers().items() if container.host == name} == containers


@pytest.fixture
def role(lab: Cluster, slave: Any, tmp_path: Path) -> Generator[Role, None, None]:
    """Run the role on the slave, or let it end before its last part. At the end, all is put back."""

    def run_role(variables: Mapping[str, object] | None = None, *, interrupted: bool = False) -> Run:
        role = {"ansible.builtin.include_role": {"name": "docker"}}
        configure = {"ansible.builtin.include_role": {"name": "docker", "tasks_from": "configure.yml"}}
        interruption = {"ansible.builtin.fail": {"msg": "the run ends here"}}
        play = {
            "hosts": slave.backend.name,
            "gather_facts": True,
            "gather_subset": ["!all", "!min", "distribution", "python", "service_mgr"],
            "tasks": [configure, interruption] if interrupted else [role],
        }
        path = tmp_path / "role.yml"
        path.write_text(json.dumps([play]))
        return playbook(str(path), "--extra-vars", json.dumps(variables or {}))

    slave.check_output(f"cp --preserve {CONFIG} {KEPT}")
    yield run_role
    slave.check_output(f"mv {KEPT} {CONFIG} && rm -f {CONFIG}.*~")
    run = run_role()
    assert run.exit_code == 0, run.output


def engine(host: Any, template: str) -> str:
    """Return what the engine says of itself."""
    return str(host.check_output(f"docker info --format '{template}'")).strip()


def main_pid(host: Any, unit: str = "docker") -> str:
    return str(host.check_output(f"systemctl show --property=MainPID --value {unit}")).strip()


def settings(host: Any) -> dict[str, Any]:
    """Return what stands in daemon.json."""
    return dict(json.loads(host.file(CONFIG).content_string))


def succeeds(run: Run) -> Run:
    assert run.exit_code == 0, run.output
    return run


def test_the_hosts_settings_stay_and_the_variables_go_again(slave: Any, role: Role) -> None:
    before = settings(slave)
    slave.check_output(f"echo '{json.dumps(before | {'max-concurrent-uploads': 3})}' > {CONFIG}")
    succeeds(role())
    pid = main_pid(slave)

    wanted = {"docker_daemon_options": {"debug": True, "max-concurrent-downloads": 2}}
    succeeds(role(wanted))
    added = {"debug": True, "max-concurrent-downloads": 2}
    assert settings(slave) == before | {"max-concurrent-uploads": 3} | added
    assert engine(slave, "{{.Debug}}") == "true"
    assert main_pid(slave) == pid, "a reload would have done"
    assert len(slave.check_output(f"ls {CONFIG}.*~").split()) == 1, "the operator's file has a copy"

    succeeds(role())
    assert settings(slave) == before | {"max-concurrent-uploads": 3}
    assert engine(slave, "{{.Debug}}") == "false", "dockerd does not forget on a reload"
    assert len(slave.check_output(f"ls {CONFIG}.*~").split()) == 1, "the role's own file needs none"


def test_what_an_earlier_run_did_not_get_to_is_made_up_for(slave: Any, role: Role) -> None:
    registries = "{{json .RegistryConfig.IndexConfigs}}"
    wanted = {"docker_insecure_registries": ["lab-registry:5000", "other:5000"]}
    pid = main_pid(slave)
    assert "the run ends here" in role(wanted, interrupted=True).output
    assert "other:5000" not in engine(slave, registries)

    succeeds(role(wanted))
    assert "other:5000" in engine(slave, registries)
    assert main_pid(slave) == pid, "a reload would have done"
    assert role(wanted).changed == 0

    other = {"docker_daemon_options": {"labels": ["a=b"], "max-download-attempts": 4}}
    assert "the run ends here" in role(other, interrupted=True).output
    succeeds(role(other))
    assert "other:5000" not in engine(slave, registries)
    assert engine(slave, "{{.Labels}}") == "[a=b]"


def test_a_broken_daemon_json_is_refused_and_an_empty_one_is_not(slave: Any, role: Role) -> None:
    before = settings(slave)
    slave.check_output(f"""printf '{{"debug": true,\\n "labels" []}}' > {CONFIG}""")
    run = role()
    assert run.exit_code != 0
    assert run.changed == 0, run.output
    assert f"{CONFIG} is no valid JSON; line 2, column 11" in run.output

    slave.check_output(f"echo ' ' > {CONFIG}")
    succeeds(role())
    assert settings(slave) == before


@pytest.mark.parametrize(("unit", "program"), [("docker", "dockerd"), ("containerd", "containerd")])
def test_an_upgraded_program_is_restarted(slave: Any, role: Role, unit: str, program: str) -> None:
    succeeds(role())
    pids = main_pid(slave, unit), main_pid(slave)
    slave.check_output(f"path=$(command -v {program}) && cp --preserve $path $path.new && mv $path.new $path")
    succeeds(role())
    assert "0" not in {main_pid(slave, unit), main_pid(slave)}
    assert main_pid(slave, unit) != pids[0]
    assert main_pid(slave) != pids[1]


def test_an_engine_from_elsewhere_stays(slave: Any, role: Role) -> None:
    packages = slave.check_output("dpkg --list")
    variables = {"docker_packages": ["moby-engine"], "docker_daemon_options": {"debug": True}}
    run = succeeds(role(variables))
    message = run.words
    assert "The host has a Docker Engine of its own" in message
    assert "moby-engine is not installed" in message
    assert slave.check_output("dpkg --list") == packages
    assert engine(slave, "{{.Debug}}") == "true", "it is configured nevertheless"


def test_no_package_is_removed_to_make_room(slave: Any, role: Role) -> None:
    packages = slave.check_output("dpkg --list")
    # Debian's podman-docker conflicts with docker.io.
    run = role({"docker_packages": ["docker.io", "podman-docker"]})
    assert run.exit_code != 0
    assert run.changed == 0, run.output
    assert "Installing podman-docker would remove docker.io." in run.words
    assert slave.check_output("dpkg --list") == packages


def test_settings_of_the_command_line_are_not_set_twice(slave: Any, role: Role) -> None:
    run = role({"docker_daemon_options": {"hosts": ["tcp://127.0.0.1:2375"]}})
    assert run.exit_code != 0
    assert run.changed == 0, run.output
    assert "hosts: the command line of the host's Docker Engine sets this already" in run.words


def test_a_registry_with_a_certificate_of_an_own_authority(slave: Any, role: Role, tmp_path: Path) -> None:
    name = slave.backend.name
    slave.check_output(
        f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -keyout {AUTHORITY}.key -out {AUTHORITY}.crt "
        f"-subj /CN={name} -addext subjectAltName=DNS:{name}"
    )
    server = (
        "import http.server, ssl; "
        f"server = http.server.HTTPServer(('', {REGISTRY_PORT}), http.server.SimpleHTTPRequestHandler); "
        "context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); "
        f"context.load_cert_chain('{AUTHORITY}.crt', '{AUTHORITY}.key'); "
        "server.socket = context.wrap_socket(server.socket, server_side=True); server.serve_forever()"
    )
    slave.check_output(f'systemd-run --unit=lab-tls-registry --collect python3 -c "{server}"')
    registry = f"{name}:{REGISTRY_PORT}"

    def refusal() -> str:
        return str(slave.run(f"docker pull {registry}/nothing").stderr)

    try:
        eventually("the registry is refused", lambda: "x509" in refusal(), seconds=20)
        pid = main_pid(slave)
        authority = tmp_path / "ca.crt"
        authority.write_text(slave.file(f"{AUTHORITY}.crt").content_string)
        wanted = {"docker_registry_certificates": {registry: str(authority)}}
        succeeds(role(wanted))
        assert "404" in refusal(), "it is no registry, but is spoken with"
        assert main_pid(slave) == pid
        assert role(wanted).changed == 0
        succeeds(role())
        assert "x509" in refusal()
    finally:
        slave.check_output(f"systemctl stop lab-tls-registry; rm -f {AUTHORITY}.*")


def test_a_proxy_for_the_engine(slave: Any, role: Role) -> None:
    wanted = {"docker_proxy": {"https": "http://user:secret@127.0.0.1:9", "no_proxy": "lab-registry,.lab"}}
    run = succeeds(role(wanted))
    assert "secret" not in run.output
    assert engine(slave, "{{.HTTPSProxy}} {{.NoProxy}}").endswith("127.0.0.1:9 lab-registry,.lab")
    assert "proxyconnect" in slave.run("docker pull other.example/nothing").stderr
    assert "secret" not in slave.check_output("systemctl show docker")
    assert role(wanted).changed == 0

    succeeds(role())
    assert engine(slave, "{{.HTTPSProxy}}") == ""
