"""Who may subscribe as a framework that several hosts have on record."""

from __future__ import annotations

from typing import Any

import pytest
from mesos_docker_scheduler.control import events, ownership
from mesos_docker_scheduler.control.ownership import BY_COMMAND, LABEL, Owner, Ownership
from mesos_docker_scheduler.driver.connection import ConnectionEnded, SubscriptionForbidden
from mesos_docker_scheduler.driver.operator_api import OperatorApiError

Message = dict[str, Any]


class Master:
    """Answers GET_FRAMEWORKS, and takes in who subscribes."""

    def __init__(self) -> None:
        self.label: str | None = None
        self.connected = False
        self.answer: Message | Exception | None = None

    def ask(self, *kinds: str) -> list[Message]:
        assert kinds == ("GET_FRAMEWORKS",)
        if isinstance(self.answer, Exception):
            raise self.answer
        if self.answer is not None:
            return [self.answer]
        info: Message = {"id": {"value": "f"}, "name": "web", "hostname": "host-b"}
        if self.label is not None:
            info["labels"] = {
                "labels": [{"key": "other", "value": "9 x"}, {"key": LABEL, "value": self.label}]
            }
        return [{"frameworks": [{"framework_info": info, "connected": self.connected}]}]


class Host:
    """A scheduler's host, with what stands in its store."""

    def __init__(self, name: str, master: Master, record: str | None = None) -> None:
        self.name, self.master, self.record = name, master, record

    def subscribe(self, framework_id: str | None = "f", failed_over: bool = False) -> str:
        """Start, subscribe, and go away again. Returns the framework's label."""
        heard: list[Any] = []
        owned = Ownership(self.master, self.record, heard.append, self.name)  # type: ignore[arg-type]
        self.master.label = owned.before_subscribe(framework_id, failed_over)[LABEL]
        assert heard == [events.Owned(self.master.label)]
        self.record = self.master.label
        return self.record


@pytest.fixture
def master() -> Master:
    return Master()


def test_a_new_framework_belongs_to_the_host_that_registers_it(master: Master) -> None:
    master.answer = OperatorApiError("there is nothing to ask")
    host = Host("a", master)
    assert host.subscribe(None) == "1 a"


def test_a_restart_changes_nothing(master: Master) -> None:
    host = Host("a", master)
    assert [host.subscribe(None), host.subscribe(), host.subscribe()] == ["1 a"] * 3


def test_a_host_that_was_down_while_its_scheduler_moved_takes_nothing_back(master: Master) -> None:
    old = Host("a", master)
    old.subscribe(None)
    assert Host("b", master).subscribe() == "2 b"  # without a record: it has learned the id from the master
    with pytest.raises(
        SubscriptionForbidden, match=r"failed over: the scheduler on host-b .* number 2; .* 1$"
    ):
        old.subscribe()
    assert master.label == "2 b"


def test_a_moved_or_restored_state_takes_over_and_the_host_that_it_was_copied_from_ends(
    master: Master,
) -> None:
    first = Host("a", master)
    copy = first.subscribe(None)
    second = Host("b", master, record=copy)
    assert second.subscribe() == "2 b"
    # Back again, with the state that belongs to it; then an old copy elsewhere.
    assert Host("a", master, record=second.record).subscribe() == "3 a"
    assert Host("c", master, record=copy).subscribe() == "4 c"
    for superseded in (first, second):
        with pytest.raises(SubscriptionForbidden):
            superseded.subscribe()


def test_an_older_copy_on_the_same_host_is_the_owner_still(master: Master) -> None:
    host = Host("a", master, record="1 a")
    master.label = "3 a"
    assert host.subscribe() == "3 a"


def test_of_two_that_have_taken_over_from_the_same_copy_one_ends(master: Master) -> None:
    master.label = "2 b"
    with pytest.raises(SubscriptionForbidden):
        Host("c", master, record="2 c").subscribe()


def test_a_crash_before_the_record_is_written_costs_nothing(master: Master) -> None:
    master.label = "2 b"
    master.connected = True  # the master has not noticed yet
    assert Host("b", master, record="1 a").subscribe() == "2 b"


def test_a_scheduler_of_before_is_taken_over_on_its_own_host(master: Master) -> None:
    """Its state has no record, and its framework no label."""
    assert Host("a", master).subscribe() == "1 a"


def test_nobody_takes_over_from_a_scheduler_that_is_connected(master: Master) -> None:
    master.label, master.connected = "1 a", True
    host = Host("b", master, record="1 a")
    with pytest.raises(ConnectionEnded, match="the scheduler on host-b is connected as this framework"):
        host.subscribe()
    master.connected = False
    assert host.subscribe() == "2 b"


def test_nobody_takes_over_from_a_scheduler_that_is_connected_but_by_command(master: Master) -> None:
    master.label, master.connected = "4 a", True
    assert Host("b", master, record=BY_COMMAND).subscribe() == "5 b"


def test_a_master_that_knows_nothing_yet_lets_the_owner_in_again(master: Master) -> None:
    """And the one whose term is over, until the owner comes: it ends then, and the owner goes on."""
    master.answer = {}
    old, owner = Host("a", master, record="1 a"), Host("b", master, record="2 b")
    assert old.subscribe() == "1 a"
    master.answer = None
    master.connected = True
    assert owner.subscribe() == "2 b"
    with pytest.raises(SubscriptionForbidden):
        old.subscribe()


@pytest.mark.parametrize(
    "answer",
    [OperatorApiError("forbidden", 403), {"frameworks": [{"framework_info": {}}]}, {"frameworks": 3}],
)
def test_a_master_that_does_not_tell_keeps_nobody_away(
    master: Master, answer: Message | Exception, caplog: pytest.LogCaptureFixture
) -> None:
    master.answer = answer
    assert Host("a", master, record="3 a").subscribe() == "3 a"
    assert Host("b", master, record="3 a").subscribe() == "4 b"
    assert "master" in caplog.text


@pytest.mark.parametrize("status", [None, 503])
def test_a_master_that_does_not_answer_is_asked_again(master: Master, status: int | None) -> None:
    master.answer = OperatorApiError("no master leads", status)
    with pytest.raises(ConnectionEnded, match="no master leads"):
        Host("a", master, record="3 a").subscribe()


def test_an_owner_that_was_put_out_by_an_older_one_comes_back(master: Master) -> None:
    """That one came in when the master did not know the framework yet."""
    old, owner = Host("a", master, record="1 a"), Host("b", master, record="2 b")
    master.label, master.connected = "1 a", True
    assert owner.subscribe(failed_over=True) == "2 b"
    with pytest.raises(SubscriptionForbidden):
        old.subscribe(failed_over=True)


@pytest.mark.parametrize("label", ["2 b", "2 c", "3 c"])
def test_one_that_was_put_out_by_its_like_or_a_later_one_ends(master: Master, label: str) -> None:
    """Two on one host, for instance: they would take the framework from each other for ever."""
    master.label = label
    with pytest.raises(SubscriptionForbidden, match="failed over"):
        Host("b", master, record="2 b").subscribe(failed_over=True)


def test_one_that_was_put_out_and_can_not_see_by_whom_ends(master: Master) -> None:
    master.answer = {}
    with pytest.raises(SubscriptionForbidden, match="number unknown"):
        Host("b", master, record="2 b").subscribe(failed_over=True)


def test_it_is_told_once_and_whenever_it_changes(master: Master) -> None:
    heard: list[Any] = []
    owned = Ownership(master, "1 a", heard.append, "a")  # type: ignore[arg-type]
    for _ in range(2):
        owned.before_subscribe("f")
    master.label = "2 a"
    owned.before_subscribe("f")
    assert heard == [events.Owned("1 a"), events.Owned("2 a")]


@pytest.mark.parametrize("text", ["", "x a", "-1 a", "1", "1 ", "²  a", BY_COMMAND])
def test_what_is_no_owner_is_none(text: str) -> None:
    assert Owner.parse(text) is None


def test_a_host_is_told_by_its_machine_id_and_name(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "machine-id"
    monkeypatch.setattr(ownership, "_MACHINE_ID", file)
    hosts = {ownership.this_host()}
    for machine_id in ("0123456789abcdef0123456789abcdef\n", "0123456789abcdef0123456789abcdee\n"):
        file.write_text(machine_id)
        hosts.add(ownership.this_host())
    monkeypatch.setattr("socket.gethostname", lambda: "a-copy")
    hosts.add(ownership.this_host())
    assert len(hosts) == 4
    assert not any("0123456789abcdef" in host for host in hosts)  # machine-id(5) asks not to show it around


# Schedulers that share their state


class Elected:
    """One of several schedulers, which share a record, while it leads."""

    def __init__(self, name: str, master: Master, record: str | None) -> None:
        self.leads, self.heard = True, list[Any]()
        self.owned = Ownership(
            master,  # type: ignore[arg-type]
            record,
            self.heard.append,
            name,
            lambda: self.leads,
        )

    def subscribe(self, master: Master, failed_over: bool = False) -> str:
        master.label = self.owned.before_subscribe("f", failed_over)[LABEL]
        return master.label


def test_who_is_elected_puts_out_whoever_is_connected(master: Master) -> None:
    master.connected = True
    first, second = Elected("a", master, None), Elected("b", master, "1 a")
    assert first.subscribe(master) == "1 a"
    assert second.subscribe(master) == "2 b"
    assert second.heard == [events.Owned("2 b")]
    with pytest.raises(SubscriptionForbidden, match="as owner number 2; this one was number 1"):
        first.subscribe(master, failed_over=True)


def test_a_successor_whose_word_was_not_written_down_keeps_nobody_out(master: Master) -> None:
    """It was gone before its store had the record: the one before it is elected again."""
    master.label = "6 b"
    assert Elected("a", master, "5 a").subscribe(master) == "7 a"


def test_who_is_not_elected_any_more_does_not_subscribe(master: Master) -> None:
    """Also when the master that has just come to lead knows nothing of the other one."""
    one = Elected("a", master, None)
    one.subscribe(master)
    master.answer, one.leads = {"frameworks": []}, False
    with pytest.raises(SubscriptionForbidden, match="taken it over"):
        one.subscribe(master)


def test_an_older_owner_that_has_come_first_is_put_out_by_who_is_elected(master: Master) -> None:
    one = Elected("b", master, "1 a")
    assert one.subscribe(master) == "2 b"
    master.label = "1 a"
    assert one.subscribe(master, failed_over=True) == "2 b"
