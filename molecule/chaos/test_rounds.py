"""Faults are healed whatever happens, and struck where they can be."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from chaos_changes import CHANGES
from chaos_draw import Blow, Place
from chaos_judge import Toll
from chaos_leftovers import grown
from chaos_lives import Life
from chaos_observer import Observer
from chaos_rounds import Injected, UnhealedError
from chaos_struck import find
from lab_inventory import CommandError, Lab
from lab_usage import Usage

HOSTS = """
all:
  hosts:
    master1: {lab_address: 10.0.0.1}
    master2: {lab_address: 10.0.0.2}
    slave1: {lab_address: 10.0.0.3}
    slave2: {lab_address: 10.0.0.4}
    idle: {lab_address: 10.0.0.5}
  children:
    zookeepers: {hosts: {master1: , master2: }}
    mesos_masters: {hosts: {master1: , master2: }}
    mesos_slaves: {hosts: {slave1: , slave2: }}
    schedulers: {hosts: {master1: }}
"""


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """A lab that only its inventory tells of: its second master leads."""
    (tmp_path / "group_vars" / "all").mkdir(parents=True)
    (tmp_path / "hosts.yml").write_text(HOSTS)
    (tmp_path / "group_vars" / "all" / "main.yml").write_text("scheduler_image: registry:5000/demo/web:1\n")
    monkeypatch.setattr(Lab, "leading", lambda _self, group: "master2" if group == "mesos_masters" else None)
    return Lab(tmp_path)


@contextmanager
def fault(log: list[str], name: str, *, heals: bool = True) -> Generator[Toll, None, None]:
    log.append(name)
    yield Toll(name)
    log.append(f"{name} healed")
    if not heals:
        raise CommandError("the host is gone")


def test_the_last_fault_is_healed_first() -> None:
    log: list[str] = []
    injected = Injected(Observer({}))
    for name in ("a", "b"):
        injected.inject(name, fault(log, name))
    injected.heal()
    assert log == ["a", "b", "b healed", "a healed"]
    assert all(toll.injected <= toll.healed < float("inf") for toll in injected.tolls)


def test_what_cannot_be_healed_is_named_and_keeps_nothing_else_from_it() -> None:
    log: list[str] = []
    injected = Injected(Observer({}))
    injected.inject("a", fault(log, "a"))
    injected.inject("b on slave1", fault(log, "b", heals=False))
    with pytest.raises(UnhealedError, match=r"^b on slave1: the host is gone$"):
        injected.heal()
    assert log[-1] == "a healed"
    injected.heal()  # nothing is left


def struck(lab: Lab, place: Place, pick: int = 0, taken: tuple[str, ...] = ()) -> tuple[str, tuple[str, ...]]:
    found = find(lab, Blow("any", place, pick), [], taken)
    return found.words, found.others


def test_the_leader_is_struck_where_there_is_one(lab: Lab) -> None:
    leading = Place("mesos_masters", leads=True)
    assert struck(lab, leading) == ("master2 (leads)", ())
    assert struck(lab, leading, taken=("master2",)) == ("master1", ())
    assert struck(lab, Place("zookeepers", leads=True), pick=1) == ("master2", ())
    with pytest.raises(LookupError, match="no host of mesos_masters is left"):
        struck(lab, leading, taken=("master1", "master2"))


def test_the_sides_of_a_partition(lab: Lab) -> None:
    assert struck(lab, Place("mesos_slaves", against="others"), pick=3) == (
        "slave2 | others",
        ("master1", "master2", "slave1"),
    )
    assert struck(lab, Place("mesos_masters", whole=True, against="mesos_slaves"), taken=("slave1",)) == (
        "mesos_masters | mesos_slaves",
        ("slave2",),
    )
    with pytest.raises(LookupError, match="nobody is left on the other side of master2"):
        struck(lab, Place("mesos_masters", leads=True, against="schedulers"), taken=("master1",))


def test_a_container_is_struck_where_it_runs(lab: Lab) -> None:
    lives = [Life(name, name, name, "web:1", 31000, 0) for name in ("slave1", "slave2")]
    blow = Blow("kill-container", Place("containers"), 2)
    assert find(lab, blow, lives, ()).container is lives[0]
    assert find(lab, blow, lives, ("slave1",)).container is lives[1]
    with pytest.raises(LookupError, match="no container runs"):
        find(lab, blow, [], ())


def test_a_slave_may_have_a_name_without_the_domain(lab: Lab) -> None:
    lab.slaves = ("slave1.example.org", "slave2")
    names = ("slave1", "slave1.example.org", "slave2", "slave3")
    assert [lab.host_of_slave(name) for name in names] == [
        "slave1.example.org",
        "slave1.example.org",
        "slave2",
        "slave3",
    ]


def test_two_hosts_that_are_something_else_become_masters(lab: Lab) -> None:
    with pytest.raises(LookupError, match="there are no two hosts"), CHANGES["grow-and-shrink"](lab):
        pass
    lab.groups["schedulers"] = ("scheduler1", "scheduler2")
    del lab.members
    with CHANGES["grow-and-shrink"](lab) as change:
        assert change.play.added is not None
        hosts = {"hosts": {"scheduler1": None, "scheduler2": None}}
        groups = {"zookeepers": hosts, "mesos_masters": hosts}
        assert json.loads(change.play.added.read_text()) == {"all": {"children": groups}}
        assert [play.added for play in change.after] == [None]


def test_daemons_may_grow_a_little() -> None:
    first = {"a": Usage(100, 100), "b": Usage(100, 100), "c": Usage(100, 100)}
    last = {"a": Usage(200, 250), "b": Usage(201, 250), "c": Usage(200, 251), "new": Usage(9, 9)}
    assert grown(first, last) == [
        "b holds 201 open files, and 100 at first",
        "c holds 251 MiB, and 100 MiB at first",
    ]
