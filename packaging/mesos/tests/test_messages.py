"""What an operator is told: help, version, and one clear message for each kind of mistake."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from mesos_programs import refusal, run
from mesos_testbed import Master

pytestmark = pytest.mark.integration

PROGRAMS = ["mesos-master", "mesos-slave", "mesos-agent"]
AGENT = ["--master=127.0.0.1:1", "--work_dir=WORK_DIR"]


@pytest.mark.parametrize("program", PROGRAMS)
def test_help_names_the_program_and_documents_its_flags(program: str) -> None:
    done = run(program, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith(f"Usage: {program} [options]\n")
    assert "--work_dir=VALUE" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("program", PROGRAMS)
def test_version(program: str) -> None:
    done = run(program, "--version")
    assert (done.returncode, done.stdout) == (0, "mesos 1.11.0\n")


def test_version_among_other_flags_checks_them() -> None:
    good = ["--master=zk://h:2181/mesos", "--work_dir=/nonexistent", "--attributes=rack:1"]
    assert run("mesos-slave", "--version", *good).stdout == "mesos 1.11.0\n"
    assert not Path("/nonexistent").exists()
    assert "'zk_session_timeout'" in refusal("mesos-slave", "--version", *good, "--zk_session_timeout=x")
    assert "Invalid --attributes" in refusal("mesos-slave", "--version", *good[:2], "--attributes=rack")
    assert "docker_mesos_image" in refusal("mesos-slave", "--version", *good, "--docker_mesos_image=x")
    assert "Missing required option `--master`" in refusal("mesos-slave", "--version", *good[1:])
    assert "--allocator=x cannot be honoured" in refusal("mesos-master", "--version", "--allocator=x")


@pytest.mark.parametrize("program", PROGRAMS)
def test_an_unknown_flag_is_refused(program: str) -> None:
    assert refusal(program, "--no_such_flag=1").startswith(
        f"Failed to load unknown flag 'no_such_flag'\n\nSee `{program} --help`"
    )


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_value_apart_from_its_flag_is_refused(program: str) -> None:
    message = refusal(program, "--master=m:1", "--work_dir=/x", "zk://x") if program != "mesos-master" else ""
    message = message or refusal(program, "--work_dir=/x", "zk://x")
    assert message.startswith("Unexpected argument 'zk://x': flags are written --name=value")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--port=x"], "Failed to load flag 'port': Failed to load value 'x': Failed to convert"),
        (["--quorum=two"], "Failed to load flag 'quorum': Failed to load value 'two'"),
        (["--zk_session_timeout=10"], "Failed to load flag 'zk_session_timeout': Failed to load value '10'"),
        (["--log_auto_initialize=perhaps"], "Failed to load flag 'log_auto_initialize'"),
        (["--acls={"], "Failed to load flag 'acls'"),
        (["--acls=file:///nonexistent"], "Error reading file '/nonexistent': No such file or directory"),
        (["--ip=1.2.3.4", "--ip=5.6.7.8"], "Flag 'ip' is already loaded via name 'ip'"),
        (["--registry=database"], "'database' is not a supported option for registry persistence"),
        (["--registry=replicated_log"], "--work_dir needed for replicated log based registry"),
        (["--registry=replicated_log", "--work_dir=/proc/x"], "Failed to create work directory '/proc/x'"),
        (["--zk=zk://127.0.0.1:1/mesos", "--work_dir=/tmp"], "Need to specify --quorum for replicated log"),
        (["--zk=127.0.0.1:2181", "--registry=in_memory"], "Failed to create a master contender"),
        (["--zk=file:///nonexistent"], "Error reading file '/nonexistent'"),
        (["--master_contender=x"], "Both --master_contender and --master_detector should be specified"),
        (
            ["--zk=zk://h/p", "--master_contender=x", "--master_detector=x"],
            "Only one of --zk or the --master_contender/--master_detector pair",
        ),
        (
            ["--registry=in_memory", "--master_contender=x", "--master_detector=x"],
            "Failed to create a master contender",
        ),
        (["--ip=127.0.0.1", "--ip_discovery_command=true"], "Only one of `--ip` or `--ip_discovery_command`"),
        (["--ip=localhost"], "Cannot listen on 'localhost': an IPv4 address is needed"),
        (["--ip=192.0.2.1"], "Cannot listen on 192.0.2.1:5050: Cannot assign requested address"),
        (["--ip_discovery_command=true"], "--ip_discovery_command printed no address"),
        (["--ip_discovery_command=exit 3"], "--ip_discovery_command: "),
        (["--authorizers=a,b", "--registry=in_memory"], "Multiple authorizers not supported"),
        (["--authorizers=a", "--registry=in_memory"], "Could not create 'a' authorizer: "),
        (["--modules={}", "--modules_dir=/tmp"], "Only one of --modules or --modules_dir"),
        (["--modules_dir=/nonexistent"], "Error loading modules: "),
        (["--hooks=x"], "Error installing hooks: No hook module named 'x' available"),
        (
            ["--agent_removal_rate_limit=1"],
            "Invalid agent_removal_rate_limit: 1. Format is <Number of agents>",
        ),
        (["--agent_removal_rate_limit=x/1mins"], "'x' is no positive number"),
        (["--agent_removal_rate_limit=0/1mins"], "'0' is no positive number"),
        (["--agent_removal_rate_limit=1/day"], "Invalid agent_removal_rate_limit: 1/day"),
        (["--max_agent_ping_timeouts=0"], "--max_agent_ping_timeouts"),
    ],
)
def test_what_a_master_refuses(words: list[str], message: str) -> None:
    extra = [] if any(word.startswith("--registry") for word in words) else ["--registry=in_memory"]
    if "--quorum" in message or "--work_dir" in message:
        extra = []
    where = (
        [] if any(word.startswith(("--ip", "--port")) for word in words) else ["--ip=127.0.0.1", "--port=0"]
    )
    assert message in refusal("mesos-master", *words, *extra, *where)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--work_dir=/tmp"], "Missing required option `--master` or `--master_detector`"),
        (["--master=m:1"], "Flag 'work_dir' is required, but it was not provided"),
        (
            [*AGENT, "--master_detector=x"],
            "Only one of `--master` or `--master_detector` should be specified",
        ),
        (
            [*AGENT, "--ip6=::1", "--ip6_discovery_command=true"],
            "Only one of `--ip6` or `--ip6_discovery_command`",
        ),
        ([*AGENT, "--resources=cpus"], "Failed to"),
        ([*AGENT, "--attributes=rack"], "Invalid --attributes: 'rack' is not of the form NAME:VALUE"),
        ([*AGENT, "--attributes=a:b;rack:[1-2"], "Invalid --attributes: 'rack:[1-2'"),
        ([*AGENT, "--attributes=rack:{a,b}"], "Invalid --attributes: 'rack:{a,b}'"),
        ([*AGENT, "--credential={"], "Failed to"),
        ([*AGENT, "--executor_reregistration_timeout=16secs"], "`--executor_reregistration_timeout`"),
        ([*AGENT, "--containerizers=docker,docker"], "Duplicate entries found in --containerizer"),
        ([*AGENT, "--containerizers=podman"], "Unknown or unsupported containerizer: podman"),
        ([*AGENT, "--isolation=nonsense", "--launcher=posix"], "Unknown or unsupported isolator 'nonsense'"),
        (
            [*AGENT, "--docker_socket=docker.sock", "--containerizers=docker"],
            "Invalid Docker socket path: docker.sock",
        ),
        ([*AGENT, "--docker=/nonexistent", "--containerizers=docker"], "Failed to create docker"),
        ([*AGENT, "--secret_resolver=x"], "Failed to initialize secret resolver: "),
        ([*AGENT, "--resource_estimator=x"], "Failed to create resource estimator: "),
        ([*AGENT, "--qos_controller=x"], "Failed to create QoS Controller: "),
        ([*AGENT, "--container_logger=x", "--containerizers=docker"], "Failed to create container logger: "),
        ([*AGENT, "--authorizer=x"], "Could not create 'x' authorizer: "),
        ([*AGENT, "--jwt_secret_key=/nonexistent"], "/nonexistent"),
        (["--master=zk:/x", "--work_dir=/tmp"], "Failed to create a master detector"),
        (
            [*AGENT, "--http_executor_domain_sockets", f"--domain_socket_location=/tmp/{'x' * 108}"],
            "Domain socket location cannot be longer than 108 characters.",
        ),
        (
            [*AGENT, "--http_executor_domain_sockets", "--domain_socket_location=/nonexistent/s"],
            "Failed to create domain socket: binding /nonexistent/s: No such file or directory",
        ),
        ([*AGENT, "--agent_subsystems=nonsense"], "for subsystem nonsense"),
        (
            [*AGENT, "--http_executor_domain_sockets", f"--runtime_dir=/tmp/{'x' * 100}"],
            "agent.sock' must have less than 108 characters",
        ),
    ],
)
def test_what_an_agent_refuses(words: list[str], message: str, tmp_path: Path) -> None:
    extra = ["--ip=127.0.0.1", "--port=0", "--no-systemd_enable_support"]
    if not any(word.startswith("--launcher") for word in words):
        extra.append("--launcher=posix")
    if not any(word.startswith("--runtime_dir") for word in words):
        extra.append(f"--runtime_dir={tmp_path}")
    words = [word.replace("WORK_DIR", str(tmp_path)) for word in words]
    assert message in refusal("mesos-slave", *words, *extra)


def test_environment_variables_are_flags_and_yield_to_the_command_line() -> None:
    variable = {"MESOS_PORT": "x", "MESOS_IP": "127.0.0.1"}
    assert "Failed to load flag 'port'" in refusal("mesos-master", environment=variable)
    message = refusal("mesos-master", "--port=0", "--registry=database", environment=variable)
    assert "'database' is not a supported option" in message


def test_a_port_in_use_is_named(folder: Path) -> None:
    with Master(folder) as master:
        message = refusal("mesos-master", "--ip=127.0.0.1", f"--port={master.flags['port']}")
        assert message == f"Cannot listen on {master.address}: Address already in use\n"


def test_sigterm_ends_a_master(folder: Path) -> None:
    with Master(folder) as master:
        master.stop(5)
        assert not master.running
        assert master.wait() in (0, -signal.SIGTERM, 128 + signal.SIGTERM)
        assert "Received signal SIGTERM" in master.log()
