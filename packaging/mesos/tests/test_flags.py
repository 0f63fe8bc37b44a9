"""Every flag of --help is honoured, by Mesos' own classes or by the launchers, or refused with a reason.

Mesos' classes read their flags from the object that the launchers hand them, so those need no work here.
What Mesos' own main programs read is the launchers' duty: each of these flags is used in some test of this
folder. What could not be honoured is refused, and each refusal is provoked here.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from mesos_programs import PACKAGE, flags_of, leading, refusal
from mesos_testbed import STAGED_TREE, Master

pytestmark = pytest.mark.integration

LOGGING = {
    "external_log_file",
    "initialize_driver_logging",
    "log_dir",
    "logbufsecs",
    "logging_level",
    "quiet",
}
START = {
    "acls",
    "advertise_ip",
    "advertise_port",
    "firewall_rules",
    "help",
    "hooks",
    "ip",
    "ip_discovery_command",
    "master_detector",
    "memory_profiling",
    "modules",
    "modules_dir",
    "port",
    "version",
    "work_dir",
    "zk_session_timeout",
}

MASTER_LAUNCHER = (
    LOGGING
    | START
    | {
        "agent_removal_rate_limit",
        "authorizers",
        "log_auto_initialize",
        "master_contender",
        "quorum",
        "registry",
        "zk",
    }
)
MASTER_REFUSED = {"allocator": "fair", "framework_sorter": "random", "role_sorter": "random"}
MASTER_MESOS = {
    "agent_ping_timeout",
    "agent_reregister_timeout",
    "allocation_interval",
    "allocator_agent_recovery_factor",
    "allocator_recovery_timeout",
    "authenticate_agents",
    "authenticate_frameworks",
    "authenticate_http_frameworks",
    "authenticate_http_readonly",
    "authenticate_http_readwrite",
    "authentication_v0_timeout",
    "authenticators",
    "cluster",
    "credentials",
    "domain",
    "fair_sharing_excluded_resource_names",
    "filter_gpu_resources",
    "hostname",
    "hostname_lookup",
    "http_authenticators",
    "http_framework_authenticators",
    "max_agent_ping_timeouts",
    "max_completed_frameworks",
    "max_completed_tasks_per_framework",
    "max_operator_event_stream_subscribers",
    "max_unreachable_tasks_per_framework",
    "min_allocatable_resources",
    "offer_constraints_re2_max_mem",
    "offer_constraints_re2_max_program_size",
    "offer_timeout",
    "publish_per_framework_metrics",
    "rate_limits",
    "recovery_agent_removal_limit",
    "registry_fetch_timeout",
    "registry_gc_interval",
    "registry_max_agent_age",
    "registry_max_agent_count",
    "registry_store_timeout",
    "registry_strict",
    "require_agent_domain",
    "roles",
    "root_submissions",
    "webui_dir",
    "weights",
    "whitelist",
}

AGENT_LAUNCHER = (
    LOGGING
    | START
    | {
        "agent_subsystems",
        "authorizer",
        "container_logger",
        "containerizers",
        "docker",
        "docker_config",
        "docker_socket",
        "domain_socket_location",
        "http_executor_domain_sockets",
        "ip6",
        "ip6_discovery_command",
        "isolation",
        "jwt_secret_key",
        "launcher",
        "launcher_dir",
        "master",
        "qos_controller",
        "resource_estimator",
        "secret_resolver",
        "systemd_enable_support",
        "systemd_runtime_directory",
    }
)
AGENT_REFUSED = {
    "csi_plugin_config_dir": "/tmp",
    "disk_profile_adaptor": "x",
    "docker_mesos_image": "mesos",
    "resource_provider_config_dir": "/tmp",
}
NEEDS_MESOS_CONTAINERIZER = {
    "allowed_devices": '{"allowed_devices": []}',
    "appc_simple_discovery_uri_prefix": "https://",
    "appc_store_dir": "/tmp/x",
    "bounding_capabilities": '{"capabilities": ["NET_RAW"]}',
    "cgroups_cpu_enable_pids_and_tids_count": "true",
    "cgroups_destroy_timeout": "2mins",
    "cgroups_limit_swap": "true",
    "cgroups_net_cls_primary_handle": "0x0012",
    "cgroups_net_cls_secondary_handles": "0x0011,0x0012",
    "container_disk_watch_interval": "20secs",
    "default_container_info": '{"type": "MESOS"}',
    "default_container_shm_size": "64MB",
    "disallow_sharing_agent_ipc_namespace": "true",
    "disallow_sharing_agent_pid_namespace": "true",
    "docker_ignore_runtime": "true",
    "docker_registry": "https://registry.example",
    "docker_store_dir": "/tmp/x",
    "docker_volume_checkpoint_dir": "/tmp/x",
    "docker_volume_chown": "true",
    "effective_capabilities": '{"capabilities": ["NET_RAW"]}',
    "enforce_container_disk_quota": "true",
    "gc_non_executor_container_sandboxes": "true",
    "host_path_volume_force_creation": "/tmp",
    "http_command_executor": "true",
    "http_heartbeat_interval": "20secs",
    "image_gc_config": '{"image_disk_headroom": 0.1, "image_disk_watch_interval": {"nanoseconds": 1}}',
    "image_providers": "DOCKER",
    "image_provisioner_backend": "copy",
    "network_cni_config_dir": "/tmp",
    "network_cni_metrics": "false",
    "network_cni_plugins_dir": "/tmp",
    "network_cni_root_dir_persist": "true",
    "perf_duration": "5secs",
    "perf_events": "cycles",
    "perf_interval": "2mins",
    "revocable_cpu_low_priority": "false",
    "seccomp_config_dir": "/tmp",
    "seccomp_profile_name": "x",
    "volume_gid_range": "[10000-20000]",
}
NEEDS_MESOS_FETCHER = {
    "fetcher_cache_dir": "/tmp/x",
    "fetcher_cache_size": "1GB",
    "fetcher_stall_timeout": "2mins",
    "frameworks_home": "/tmp",
    "hadoop_home": "/tmp",
}
AGENT_MESOS = {
    "agent_features",
    "attributes",
    "authenticate_http_executors",
    "authenticate_http_readonly",
    "authenticate_http_readwrite",
    "authenticatee",
    "authentication_backoff_factor",
    "authentication_timeout_max",
    "authentication_timeout_min",
    "cgroups_enable_cfs",
    "cgroups_hierarchy",
    "cgroups_root",
    "credential",
    "default_container_dns",
    "default_role",
    "disk_watch_interval",
    "docker_kill_orphans",
    "docker_remove_delay",
    "docker_stop_timeout",
    "domain",
    "executor_environment_variables",
    "executor_registration_timeout",
    "executor_reregistration_retry_interval",
    "executor_reregistration_timeout",
    "executor_shutdown_grace_period",
    "gc_delay",
    "gc_disk_headroom",
    "hostname",
    "hostname_lookup",
    "http_authenticators",
    "http_credentials",
    "max_completed_executors_per_framework",
    "nvidia_gpu_devices",
    "oversubscribed_resources_interval",
    "qos_correction_interval_min",
    "reconfiguration_policy",
    "recover",
    "recovery_timeout",
    "registration_backoff_factor",
    "resources",
    "runtime_dir",
    "sandbox_directory",
    "strict",
    "switch_user",
}

CLASSES = {
    "mesos-master": [MASTER_LAUNCHER, MASTER_MESOS, set(MASTER_REFUSED)],
    "mesos-slave": [
        AGENT_LAUNCHER,
        AGENT_MESOS,
        set(AGENT_REFUSED),
        set(NEEDS_MESOS_CONTAINERIZER),
        set(NEEDS_MESOS_FETCHER),
    ],
}


@pytest.mark.parametrize("program", sorted(CLASSES))
def test_each_flag_is_in_exactly_one_class(program: str) -> None:
    listed = [flag for names in CLASSES[program] for flag in names]
    assert sorted(listed) == sorted(flags_of(program))


@pytest.mark.parametrize("flag", sorted((MASTER_LAUNCHER | AGENT_LAUNCHER) - {"help", "version"}))
def test_each_flag_of_the_launchers_is_used_in_a_test(flag: str) -> None:
    texts = [path.read_text() for path in Path(__file__).parent.glob("test_*.py") if path != Path(__file__)]
    texts.append((PACKAGE / "testbed/mesos_testbed/mesos.py").read_text())
    assert any(f'"{flag}"' in text or f"--{flag}" in text or f"--no-{flag}" in text for text in texts)


@pytest.mark.parametrize("flag", sorted(MASTER_REFUSED))
def test_a_master_refuses_what_the_official_library_lacks(flag: str) -> None:
    message = refusal("mesos-master", f"--{flag}={MASTER_REFUSED[flag]}", "--registry=in_memory")
    assert message.startswith(f"--{flag}={MASTER_REFUSED[flag]} cannot be honoured: the official library ")


def agent_refusal(flag: str, value: str, launcher_dir: Path) -> str:
    return refusal(
        "mesos-slave",
        f"--{flag}={value}",
        "--master=127.0.0.1:1",
        "--work_dir=/tmp",
        f"--launcher_dir={launcher_dir}",
    )


@pytest.mark.parametrize("flag", sorted(AGENT_REFUSED))
def test_an_agent_refuses_what_cannot_work(flag: str, folder: Path) -> None:
    assert agent_refusal(flag, AGENT_REFUSED[flag], folder).startswith(
        f"--{flag}={AGENT_REFUSED[flag]} cannot be honoured: "
    )


@pytest.mark.parametrize("flag", sorted(NEEDS_MESOS_CONTAINERIZER))
def test_an_agent_refuses_flags_of_the_mesos_containerizer(flag: str, folder: Path) -> None:
    message = agent_refusal(flag, NEEDS_MESOS_CONTAINERIZER[flag], folder)
    assert f"--{flag}=" in message
    assert f"needs the program mesos-containerizer in --launcher_dir ({folder})" in message


@pytest.mark.parametrize("flag", sorted(NEEDS_MESOS_FETCHER))
def test_an_agent_refuses_flags_of_the_fetcher(flag: str, folder: Path) -> None:
    assert f"needs the program mesos-fetcher in --launcher_dir ({folder})" in agent_refusal(
        flag, NEEDS_MESOS_FETCHER[flag], folder
    )


@pytest.mark.parametrize(
    ("isolator", "reason"),
    [
        ("disk/xfs", "the official library was built without it; disk/du does the same"),
        ("network/port_mapping", "the official library was built without it; see network/cni"),
        ("network/ports", "the official library was built without it"),
        ("volume/csi", "CSI plugins speak gRPC"),
    ],
)
def test_an_agent_refuses_isolators_that_it_lacks(isolator: str, reason: str) -> None:
    message = agent_refusal("isolation", f"posix/cpu,{isolator}", STAGED_TREE / "usr/libexec/mesos")
    assert f"'{isolator}': {reason}" in message


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("effective_capabilities", '{"capabilities": ["NET_RAW"]}'),
        ("bounding_capabilities", '{"capabilities": ["NET_RAW"]}'),
        ("isolation", "posix/cpu,linux/capabilities"),
    ],
)
def test_an_agent_refuses_capabilities_that_would_end_it(flag: str, value: str) -> None:
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    assert last > 37, "a kernel before 5.8"
    message = agent_refusal(flag, value, STAGED_TREE / "usr/libexec/mesos")
    assert message.startswith(f"--{flag}=")
    assert message.endswith(
        " cannot be honoured: this kernel has capabilities that Mesos does not know"
        f" ({last + 1} instead of 38)\n"
    )


def test_a_default_value_is_never_refused(folder: Path) -> None:
    message = agent_refusal("image_providers", "DOCKER", folder)
    assert "image_providers" in message
    defaults = ["--fetcher_cache_size=2GB", "--no-docker_volume_chown", "--launcher=nonsense"]
    place = ["--master=127.0.0.1:1", f"--work_dir={folder}", "--port=0", "--no-systemd_enable_support"]
    message = refusal("mesos-slave", *defaults, *place)
    assert "Unknown or unsupported launcher: nonsense" in message


def test_the_master_runs_with_the_values_that_were_given(folder: Path) -> None:
    (folder / "roles").write_text("web,batch")
    values: dict[str, str | int] = {
        "agent_ping_timeout": "20secs",
        "allocation_interval": "2secs",
        "cluster": "lab",
        "max_completed_frameworks": 7,
        "offer_timeout": "3mins",
        "roles": f"file://{folder}/roles",
        "weights": "web=2",
        "zk_session_timeout": "11secs",
    }
    with Master(folder, values, environment={"MESOS_MAX_AGENT_PING_TIMEOUTS": "9"}) as master:
        cluster = leading(master)["cluster"]
        shown = master.get("/flags")["flags"]
    expected = {
        name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in values.items()
    }
    assert {name: shown[name] for name in values} == {**expected, "roles": "web,batch"}
    assert shown["max_agent_ping_timeouts"] == "9"
    assert cluster == "lab"
