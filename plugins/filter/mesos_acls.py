"""Filters that say who may do what: principals of the masters and slaves, and Mesos' ACLs for them.

Who is not named may do nothing (`permissive: false`), and what each one does is all that it may.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

ANY: dict[str, Any] = {"type": "ANY"}
OPERATOR = "operator"  # people: everything
MAINTENANCE = "maintenance"  # playbooks/drain.yml and its like, on the slave that they empty
MONITORING = "monitoring"  # the exporter, and whoever deploys and verifies
SCHEDULER = "scheduler"
SLAVE = "slave"
PRINCIPALS = (OPERATOR, MAINTENANCE, MONITORING, SCHEDULER, SLAVE)
OF_SLAVES = (OPERATOR, MONITORING, SCHEDULER)
EXECUTOR_KEY = "mesos_slave_executor_key"
# With it masters write what they elect by in ZooKeeper; everybody else may read that.
ZOOKEEPER = "zookeeper_mesos"
# With it schedulers write the state that they share; nobody else may read it.
ZOOKEEPER_SCHEDULER = "zookeeper_scheduler"
# What operators show the page and the API, the same to all schedulers that share a state.
SITE_TOKEN = "scheduler_site_token"  # noqa: S105  its name
METRICS = ["/metrics/snapshot"]

# What an operator may do on a master and on a slave, by ACL; the second column is what it is done to. All
# slaves know the same operator, so he starts and ends nothing there: root on one of them could, on all.
_ON_MASTERS = {
    "teardown_frameworks": "framework_principals",
    "reserve_resources": "roles",
    "unreserve_resources": "reserver_principals",
    "create_volumes": "roles",
    "destroy_volumes": "creator_principals",
    "resize_volumes": "roles",
    "create_block_disks": "roles",
    "destroy_block_disks": "roles",
    "create_mount_disks": "roles",
    "destroy_mount_disks": "roles",
    "destroy_raw_disks": "roles",
    "get_quotas": "roles",
    "update_quotas": "roles",
    "update_weights": "roles",
    "update_maintenance_schedules": "machines",
    "get_maintenance_schedules": "machines",
    "start_maintenances": "machines",
    "stop_maintenances": "machines",
    "get_maintenance_statuses": "machines",
    "drain_agents": "agents",
    "deactivate_agents": "agents",
    "reactivate_agents": "agents",
    "mark_agents_gone": "agents",
}
_ON_SLAVES = {
    "access_sandboxes": "users",
    "view_containers": "users",
    "view_standalone_containers": "users",
    "view_resource_providers": "resource_providers",
    "prune_images": "images",
}
_ON_BOTH = {
    "get_endpoints": "paths",
    "view_frameworks": "users",
    "view_executors": "users",
    "view_tasks": "users",
    "view_roles": "roles",
    "view_flags": "flags",
    "access_mesos_logs": "logs",
    "set_log_level": "level",
}
# What a framework may do in its roles.
_IN_ROLES = ("register_frameworks", "view_roles", "reserve_resources", "create_volumes", "resize_volumes")
_VIEWS = ("view_frameworks", "view_executors", "view_tasks")

Acls = dict[str, Any]
Framework = Mapping[str, Any]


def master_acls(frameworks: Iterable[Framework]) -> Acls:
    """Return the masters' ACLs.

    frameworks: `principal`, `roles` and `users` of each; ours, which has neither, may all.
    """
    acls = _operator_may(_ON_MASTERS | _ON_BOTH)
    _allow(acls, MONITORING, "get_endpoints", "paths", METRICS)
    for acl, about in (
        ("update_maintenance_schedules", "machines"),
        ("get_maintenance_schedules", "machines"),
        ("drain_agents", "agents"),
        ("deactivate_agents", "agents"),
        ("reactivate_agents", "agents"),
        *((view, "users") for view in _VIEWS),
        ("view_roles", "roles"),
    ):
        _allow(acls, MAINTENANCE, acl, about)
    _allow(acls, SLAVE, "register_agents", "agents")
    # Static reservations, in mesos_slave_resources.
    _allow(acls, SLAVE, "reserve_resources", "roles")
    for framework in frameworks:
        principal = framework["principal"]
        roles, users = _bound(framework, "roles"), _bound(framework, "users")
        for acl in _IN_ROLES:
            _allow(acls, principal, acl, "roles", roles)
        _allow(acls, principal, "unreserve_resources", "reserver_principals", [principal])
        _allow(acls, principal, "destroy_volumes", "creator_principals", [principal])
        _allow(acls, principal, "run_tasks", "users", users)
        for view in _VIEWS:
            _allow(acls, principal, view, "users", users)
    return acls


def slave_acls(frameworks: Iterable[Framework]) -> Acls:
    """Return the slaves' ACLs. frameworks: as for master_acls; slaves, too, check whom a task runs as."""
    acls = _operator_may(_ON_SLAVES | _ON_BOTH)
    _allow(acls, MONITORING, "get_endpoints", "paths", METRICS)
    for framework in frameworks:
        principal, users = framework["principal"], _bound(framework, "users")
        _allow(acls, principal, "run_tasks", "users", users)
        if principal == SCHEDULER:
            for acl in (*_VIEWS, "access_sandboxes"):
                _allow(acls, SCHEDULER, acl, "users", users)
    return acls


def secret_names(frameworks: Iterable[Framework]) -> list[str]:
    """Return the names in secrets.yml. frameworks: other people's, with a `principal` each."""
    return [
        *(secret_name("mesos_master", principal) for principal in _of_masters(frameworks)),
        *(secret_name("mesos_slave", principal) for principal in OF_SLAVES),
        EXECUTOR_KEY,
        ZOOKEEPER,
        ZOOKEEPER_SCHEDULER,
        SITE_TOKEN,
    ]


def secret_name(daemon: str, principal: str) -> str:
    """Return the name in secrets.yml of what the principal shows `mesos_master` or `mesos_slave`."""
    return f"{daemon}_{principal}"


def credential(secrets: Mapping[str, str], daemon: str, principal: str) -> dict[str, str]:
    """Return what the principal shows `mesos_master` or `mesos_slave`.

    Slaves know none of the masters' but their own: root on a slave, and that is who starts containers, could
    read them.
    """
    name = secret_name(daemon, principal)
    if name not in secrets:
        raise AnsibleFilterError(f"secrets.yml has no {name} yet: site.yml adds it.")
    return {"principal": principal, "secret": secrets[name]}


def master_credentials(secrets: Mapping[str, str], frameworks: Iterable[Framework]) -> list[dict[str, str]]:
    """Return whom the masters let in. frameworks: other people's."""
    return [credential(secrets, "mesos_master", principal) for principal in _of_masters(frameworks)]


def slave_credentials(secrets: Mapping[str, str]) -> list[dict[str, str]]:
    """Return whom the slaves let in."""
    return [credential(secrets, "mesos_slave", principal) for principal in OF_SLAVES]


def framework_mistakes(frameworks: Iterable[Framework]) -> list[str]:
    """Return what is wrong with `cluster_frameworks`, a sentence each."""
    unbounded = [
        f"cluster_frameworks: {framework['principal']} has no {name}; it must be a list that is not empty."
        for framework in frameworks
        for name in ("roles", "users")
        if framework.get("principal") and not _is_list_of_names(framework.get(name))
    ]
    given = [str(framework.get("principal", "")) for framework in frameworks]
    taken = sorted(set(given) & set(PRINCIPALS))
    twice = sorted({principal for principal in given if given.count(principal) > 1})
    return [
        *(f"cluster_frameworks: the principal {each} is taken by the cluster itself." for each in taken),
        *(f"cluster_frameworks: the principal {each} is there twice." for each in twice),
        *(["cluster_frameworks: one has no principal; it must be a name."] if "" in given else []),
        *unbounded,
    ]


def _is_list_of_names(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, str) and one for one in value)


def _bound(framework: Framework, name: str) -> Iterable[str] | None:
    """Return what alone a framework may; None: ours may all. KeyError: somebody else's must say."""
    return None if framework["principal"] == SCHEDULER else framework[name]


def _of_masters(frameworks: Iterable[Framework]) -> tuple[str, ...]:
    """Return all principals that masters know. frameworks: other people's."""
    return (*PRINCIPALS, *(framework["principal"] for framework in frameworks))


def _operator_may(everything: Mapping[str, str]) -> Acls:
    acls: Acls = {"permissive": False}
    for acl, about in everything.items():
        _allow(acls, OPERATOR, acl, about)
    return acls


def _allow(acls: Acls, principal: str, acl: str, about: str, values: Iterable[str] | None = None) -> None:
    """Add that the principal may do something to some; to all without `values`."""
    entity = ANY if values is None else {"values": list(values)}
    acls.setdefault(acl, []).append({"principals": {"values": [principal]}, about: entity})


class FilterModule:
    """What Ansible looks for in a filter plugin."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {
            "master_acls": master_acls,
            "slave_acls": slave_acls,
            "secret_names": secret_names,
            "mesos_credential": credential,
            "master_credentials": master_credentials,
            "slave_credentials": slave_credentials,
            "framework_mistakes": framework_mistakes,
        }
