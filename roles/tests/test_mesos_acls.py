"""Who may do what in a secured cluster. What Mesos makes of it is tested in molecule/default."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

OURS = {"principal": "scheduler"}
OTHER = {"principal": "batch", "roles": ["batch"], "users": ["nobody"]}


@pytest.fixture(scope="module")
def acls(load: Callable[[str], ModuleType]) -> ModuleType:
    return load("plugins/filter/mesos_acls.py")


def allowed(made: dict[str, Any], principal: str) -> dict[str, Any]:
    """Return what a principal may do, and to what."""
    found: dict[str, Any] = {}
    for acl, rules in made.items():
        for rule in rules if acl != "permissive" else ():
            ((about, entity),) = ((key, value) for key, value in rule.items() if key != "principals")
            if principal in rule["principals"]["values"]:
                assert acl not in found
                found[acl] = (about, entity.get("values", "ANY"))
    return found


def test_who_is_not_named_may_do_nothing(acls: ModuleType) -> None:
    for made in (acls.master_acls([OURS]), acls.slave_acls([OURS])):
        assert made["permissive"] is False
        assert allowed(made, "stranger") == {}
        assert all("type" not in rule["principals"] for rules in made.values() if rules for rule in rules), (
            "ANY principal"
        )


def test_what_the_scheduler_may_whatever_user_a_service_has_or_had(acls: ModuleType) -> None:
    users = ("users", "ANY")
    views = {"view_frameworks": users, "view_executors": users, "view_tasks": users, "run_tasks": users}
    roles = ("roles", "ANY")
    assert allowed(acls.master_acls([OURS, OTHER]), "scheduler") == views | {
        "register_frameworks": roles,
        "view_roles": roles,
        "reserve_resources": roles,
        "create_volumes": roles,
        "resize_volumes": roles,
        "unreserve_resources": ("reserver_principals", ["scheduler"]),
        "destroy_volumes": ("creator_principals", ["scheduler"]),
    }
    assert allowed(acls.slave_acls([OURS, OTHER]), "scheduler") == views | {"access_sandboxes": users}


def test_what_somebody_elses_framework_may(acls: ModuleType) -> None:
    may = allowed(acls.master_acls([OURS, OTHER]), "batch")
    assert may["register_frameworks"] == ("roles", ["batch"])
    assert may["run_tasks"] == ("users", ["nobody"])
    assert may["reserve_resources"] == may["create_volumes"] == ("roles", ["batch"])
    assert allowed(acls.slave_acls([OURS, OTHER]), "batch") == {"run_tasks": ("users", ["nobody"])}


def test_what_a_slave_and_those_that_look_may(acls: ModuleType) -> None:
    made = acls.master_acls([OURS])
    assert allowed(made, "slave") == {
        "register_agents": ("agents", "ANY"),
        "reserve_resources": ("roles", "ANY"),
    }
    metrics = {"get_endpoints": ("paths", ["/metrics/snapshot"])}
    assert allowed(made, "monitoring") == allowed(acls.slave_acls([OURS]), "monitoring") == metrics
    assert not allowed(made, "maintenance").keys() & {
        "run_tasks",
        "register_frameworks",
        "teardown_frameworks",
    }


def test_slaves_know_no_password_of_the_masters_but_their_own(acls: ModuleType) -> None:
    secrets = {name: name.upper() for name in acls.secret_names([OTHER])}
    on_masters = {each["secret"] for each in acls.master_credentials(secrets, [OTHER])}
    on_slaves = {each["secret"] for each in acls.slave_credentials(secrets)}
    assert not on_masters & on_slaves
    assert acls.credential(secrets, "mesos_master", "batch") == {
        "principal": "batch",
        "secret": "MESOS_MASTER_BATCH",
    }
    names = (acls.EXECUTOR_KEY, acls.ZOOKEEPER, acls.ZOOKEEPER_SCHEDULER, acls.SITE_TOKEN)
    others = {secrets[name] for name in names}
    assert on_masters | on_slaves | others == set(secrets.values())


def test_a_framework_that_takes_a_name_of_ours(acls: ModuleType) -> None:
    assert acls.framework_mistakes([OTHER]) == []
    assert acls.framework_mistakes([OTHER, OTHER, {**OTHER, "principal": "operator"}]) == [
        "cluster_frameworks: the principal operator is taken by the cluster itself.",
        "cluster_frameworks: the principal batch is there twice.",
    ]


@pytest.mark.parametrize("value", [None, [], "nobody", [""], {"nobody": 1}])
@pytest.mark.parametrize("name", ["roles", "users"])
def test_what_a_framework_may_is_never_left_open(acls: ModuleType, name: str, value: object) -> None:
    without = {key: given for key, given in OTHER.items() if key != name}
    for wrong in (without, {**OTHER, name: value}):
        assert acls.framework_mistakes([wrong]) == [
            f"cluster_frameworks: batch has no {name}; it must be a list that is not empty."
        ]
    with pytest.raises(KeyError):
        acls.master_acls([OURS, without])
    nameless = {key: given for key, given in OTHER.items() if key != "principal"}
    assert acls.framework_mistakes([nameless]) == [
        "cluster_frameworks: one has no principal; it must be a name."
    ]
