"""The parts put together: a driver of the test's own says what Mesos says."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import socket
import sqlite3
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from certificates import SelfSigned
from mesos_docker_scheduler import cli
from mesos_docker_scheduler import process as module
from mesos_docker_scheduler.config import load
from mesos_docker_scheduler.driver import Credential, TlsSettings
from mesos_docker_scheduler.exits import SchedulerError
from mesos_docker_scheduler.mesos_access import Access
from mesos_docker_scheduler.process import Source
from mesos_docker_scheduler.records.store import Event, SqliteStore
from mesos_docker_scheduler.serve import serve
from scheduler_fakes import MASTER, FakeDriver


class Mesos(FakeDriver):
    """A driver whose start runs `story` with the pymesos scheduler on a thread."""

    story: Callable[[Any], None]
    made: Mesos

    def __init__(self, scheduler: Any, framework: dict[str, Any], master: str, **settings: Any) -> None:
        super().__init__()
        self.scheduler, self.framework, self.settings = scheduler, framework, settings
        self.stopped = False
        self.thread: threading.Thread | None = None
        Mesos.made = self

    def take_over(self, framework_id: str) -> None:
        self.framework["id"] = {"value": framework_id}

    def start(self) -> None:
        self.thread = threading.Thread(target=Mesos.story, args=(self.scheduler,))
        self.thread.start()

    def stop(self) -> None:
        self.stopped = True

    def join(self) -> None:
        if self.thread is not None:
            self.thread.join()


class Operator:
    """What the master says to operators: `answers` by call, and nothing of what is not there."""

    answers: dict[str, dict[str, Any]]

    def __init__(self, master: str, **settings: Any) -> None:
        self.settings = settings

    def ask(self, *kinds: str) -> list[dict[str, Any]]:
        return [Operator.answers.get(kind, {}) for kind in kinds]


def known(framework_id: str, connected: bool = False) -> dict[str, Any]:
    info = {"id": {"value": framework_id}, "name": "mesos-docker-scheduler"}
    return {"frameworks": [{"framework_info": info, "connected": connected}]}


@pytest.fixture
def wish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(module, "SchedulerDriver", Mesos)
    monkeypatch.setattr(module, "OperatorApi", Operator)
    Operator.answers = {}
    return {
        "master": "m1:5050",
        "http": None,
        "state_dir": str(tmp_path / "state"),
        "services": [{"name": "web", "image": "demo/web:1"}],
    }


def run(tmp_path: Path, wish: dict[str, Any], story: Callable[[Any], None]) -> list[Event]:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(wish))
    Mesos.story = story
    told: list[Event] = []
    serve(Source(*load(path), path), told.append)
    return told


def stop_this_process(scheduler: Any) -> None:
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize(
    ("message", "status", "words"),
    [
        ("Framework has been removed", 76, "Mesos has removed framework framework and killed its tasks"),
        ("Framework failed over", 77, "another scheduler has taken over framework framework"),
        ("Role 'x' is not allowed", 70, "Mesos refuses framework framework: Role 'x' is not allowed"),
    ],
)
def test_ends_with_its_own_status_when_mesos_refuses(
    tmp_path: Path, wish: dict[str, Any], message: str, status: int, words: str
) -> None:
    def story(scheduler: Any) -> None:
        scheduler.registered(None, "framework", MASTER)
        scheduler.error(None, message)

    with pytest.raises(SchedulerError, match=words) as end:
        run(tmp_path, wish, story)
    assert end.value.status == status
    assert Mesos.made.stopped


def test_a_signal_ends_it_in_order_and_the_id_is_kept(tmp_path: Path, wish: dict[str, Any]) -> None:
    before = signal.getsignal(signal.SIGTERM)

    def story(scheduler: Any) -> None:
        scheduler.registered(None, "framework", MASTER)
        stop_this_process(scheduler)

    run(tmp_path, wish, story)
    assert signal.getsignal(signal.SIGTERM) is before
    store = SqliteStore(tmp_path / "state")
    assert store.load().framework_id == "framework"
    store.close()
    run(tmp_path, wish, stop_this_process)
    assert Mesos.made.framework["id"] == {"value": "framework"}


def test_without_records_it_goes_on_as_the_framework_that_the_master_knows(
    tmp_path: Path, wish: dict[str, Any]
) -> None:
    Operator.answers["GET_FRAMEWORKS"] = known("old")
    on_record: list[str | None] = []

    def story(scheduler: Any) -> None:
        with contextlib.closing(sqlite3.connect(tmp_path / "state" / "state.sqlite")) as database:
            on_record.extend(*database.execute("SELECT id FROM framework"))
        scheduler.registered(None, "old", MASTER)
        stop_this_process(scheduler)

    told = run(tmp_path, wish, story)
    assert on_record == ["old"]
    assert Mesos.made.framework["id"] == {"value": "old"}
    assert [event.text for event in told if event.kind == "recovered"] == [
        "the master knows framework old as ours, with 0 instances: it is taken over"
    ]


def test_does_not_subscribe_before_the_master_can_tell_who_we_are(
    tmp_path: Path, wish: dict[str, Any]
) -> None:
    Operator.answers["GET_FRAMEWORKS"] = known("old", connected=True)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(wish))
    Mesos.story = lambda scheduler: pytest.fail("it has subscribed")
    told: list[Event] = []

    def tell(event: Event) -> None:
        told.append(event)
        stop_this_process(None)

    serve(Source(*load(path), path), tell)
    assert "a scheduler is connected to it" in told[0].text
    assert (told[0].kind, Mesos.made.stopped) == ("recovering", True)


def test_an_operator_may_say_that_there_is_no_earlier_framework(tmp_path: Path, wish: dict[str, Any]) -> None:
    Operator.answers["GET_FRAMEWORKS"] = known("old", connected=True)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(wish))
    assert cli.main(["adopt", "--config", str(path), "--new"]) == 0
    run(tmp_path, wish, stop_this_process)
    assert "id" not in Mesos.made.framework


def test_every_callback_reaches_the_controller(tmp_path: Path, wish: dict[str, Any]) -> None:
    def story(scheduler: Any) -> None:
        scheduler.registered(None, "framework", MASTER)
        scheduler.resourceOffers(None, [])
        scheduler.offerRescinded(None, "1")
        scheduler.inverseOffers(None, [{"id": {"value": "i"}, "agent_id": {"value": "a"}}])
        scheduler.inverseOfferRescinded(None, "i")
        scheduler.statusUpdate(
            None, {"task_id": {"value": "x"}, "agent_id": {"value": "a"}, "state": "TASK_FAILED", "uuid": "u"}
        )
        scheduler.slaveLost(None, "a")
        scheduler.callFailed(None, {"type": "REVIVE"}, RuntimeError("lost"))
        scheduler.disconnected(None)
        scheduler.reregistered(None, MASTER)
        stop_this_process(scheduler)

    told = [event.kind for event in run(tmp_path, wish, story)]
    assert [kind for kind in told if kind != "waiting"] == [
        "connected",
        "call failed",
        "disconnected",
        "connected",
    ]
    assert Mesos.made.take("acknowledge", "accept inverse") == [
        ("accept inverse", ["i"]),
        ("acknowledge", "u"),
    ]


def test_sighup_reads_the_file_again_and_sets_the_log_level(tmp_path: Path, wish: dict[str, Any]) -> None:
    applied = threading.Event()

    def story(scheduler: Any) -> None:
        os.kill(os.getpid(), signal.SIGHUP)
        assert applied.wait(10)
        stop_this_process(scheduler)

    path = tmp_path / "config.json"
    path.write_text(json.dumps(wish))
    Mesos.story = story
    serve(Source(*load(path), path), lambda event: applied.set() if event.kind == "config" else None)
    assert applied.is_set()


def test_serves_its_status_while_it_runs(tmp_path: Path, wish: dict[str, Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    answers: list[dict[str, Any]] = []

    def story(scheduler: Any) -> None:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/status", timeout=10) as answer:
            answers.append(json.load(answer))
        stop_this_process(scheduler)

    run(tmp_path, {**wish, "http": {"bind": "127.0.0.1", "port": port}}, story)
    assert answers[0]["services"][0]["wanted"] == 1


def test_sighup_has_it_show_a_new_certificate(tmp_path: Path, wish: dict[str, Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    files, new = SelfSigned(tmp_path), SelfSigned(tmp_path, "new")
    answered: list[SelfSigned] = []

    def ask(trusted: SelfSigned) -> None:
        context = ssl.create_default_context(cafile=trusted.cert_file)
        url = f"https://127.0.0.1:{port}/healthz"
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=10, context=context):
            answered.append(trusted)

    def story(scheduler: Any) -> None:
        ask(files)
        files.put(new)
        os.kill(os.getpid(), signal.SIGHUP)
        deadline = time.monotonic() + 30
        while new not in answered and time.monotonic() < deadline:
            ask(new)
        stop_this_process(scheduler)

    tls = {"cert_file": str(files.cert_file), "key_file": str(files.key_file)}
    run(tmp_path, {**wish, "http": {"bind": "127.0.0.1", "port": port, "tls": tls}}, story)
    assert answered == [files, new]


def test_a_certificate_that_can_not_be_used_is_told(tmp_path: Path, wish: dict[str, Any]) -> None:
    files = SelfSigned(tmp_path)
    files.key_file.unlink()
    tls = {"cert_file": str(files.cert_file), "key_file": str(files.key_file)}
    with pytest.raises(SchedulerError, match=r"http.tls.key_file: .*face.key can't be read: No such") as end:
        run(tmp_path, {**wish, "http": {"tls": tls}}, stop_this_process)
    assert end.value.status == 78


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_ends_is_told_and_systemd_hears_no_more(
    tmp_path: Path, wish: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    beats: list[str] = []
    monkeypatch.setattr("mesos_docker_scheduler.sd_notify.watchdog_seconds", lambda: 0.0)
    monkeypatch.setattr("mesos_docker_scheduler.sd_notify.notify", beats.append)
    hook = threading.excepthook
    answers: list[Any] = []

    def get(path: str) -> bytes:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
                return bytes(answer.read())
        except urllib.error.HTTPError as error:
            return bytes(error.read())

    def fail() -> None:
        raise ValueError("zk://user:secret@zk1")

    def story(scheduler: Any) -> None:
        thread = threading.Thread(target=fail, name="zookeeper")
        thread.start()
        thread.join()
        deadline = time.monotonic() + 10
        while not answers or (answers[-1]["problem"] is None and time.monotonic() < deadline):
            answers.append(json.loads(get("/healthz")))
        heard = len(beats)
        scheduler.registered(None, "framework", MASTER)
        time.sleep(0.3)
        answers.append(beats[heard:])
        stop_this_process(scheduler)

    told = run(tmp_path, {**wish, "http": {"bind": "127.0.0.1", "port": port}}, story)
    text = "the thread zookeeper has ended by a ValueError; the journal has more"
    health, beaten = answers[-2:]
    assert health == {"status": "ok", "connected": False, "problem": text}
    assert "WATCHDOG=1" in beats
    assert beaten == []
    assert [event.text for event in told if event.kind == "thread ended"] == [text]
    assert threading.excepthook is hook


def test_an_address_in_use_is_told_before_anything_starts(tmp_path: Path, wish: dict[str, Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SchedulerError, match=f"http: can't listen on 127.0.0.1:{port}") as end:
            run(tmp_path, {**wish, "http": {"bind": "127.0.0.1", "port": port}}, stop_this_process)
    assert end.value.status == 71


def test_a_state_folder_in_use_is_told(tmp_path: Path, wish: dict[str, Any]) -> None:
    other = SqliteStore(tmp_path / "state")
    with pytest.raises(SchedulerError, match="another scheduler uses this state folder") as end:
        run(tmp_path, wish, stop_this_process)
    assert end.value.status == 74
    other.close()


def test_the_secret_comes_from_its_file(tmp_path: Path, wish: dict[str, Any]) -> None:
    secret = tmp_path / "secret"
    wish["framework"] = {"principal": "p", "secret_file": str(secret)}
    with pytest.raises(SchedulerError, match=r"framework\.secret_file: .*can't be read") as end:
        run(tmp_path, wish, stop_this_process)
    assert end.value.status == 78
    secret.write_text("\n")
    with pytest.raises(SchedulerError, match=r"framework\.secret_file: .*can't be read: it is empty"):
        run(tmp_path, wish, stop_this_process)
    secret.write_text("s3cret\n")
    run(tmp_path, wish, stop_this_process)
    assert secrets_of(Mesos.made.settings["credential"]) == ["p:s3cret"]
    (tmp_path / "secret.previous").write_text("older\n")
    assert secrets_of(Mesos.made.settings["credential"]) == ["p:s3cret", "p:older"]


def secrets_of(credential: Credential | None) -> list[str]:
    assert credential is not None
    sent = (authorization.removeprefix("Basic ") for authorization in credential.authorizations())
    return [base64.b64decode(authorization).decode() for authorization in sent]


def test_slaves_may_want_another_secret_than_the_master(tmp_path: Path, wish: dict[str, Any]) -> None:
    for name in ("secret", "agent-secret"):
        (tmp_path / name).write_text(f"{name}\n")
    wish["framework"] = {"principal": "p", "secret_file": str(tmp_path / "secret")}

    def access() -> Access:
        (tmp_path / "config.json").write_text(json.dumps(wish))
        return Access.of(load(tmp_path / "config.json")[0])

    assert secrets_of(access().agents) == ["p:secret"]
    wish["framework"]["agent_secret_file"] = str(tmp_path / "agent-secret")
    assert secrets_of(access().masters) == ["p:secret"]
    assert secrets_of(access().agents) == ["p:agent-secret"]
    (tmp_path / "agent-secret").unlink()
    with pytest.raises(SchedulerError, match=r"framework\.agent_secret_file: .*can't be read"):
        access()


def test_tls_is_for_those_who_ask_for_it(tmp_path: Path, wish: dict[str, Any]) -> None:
    run(tmp_path, wish, stop_this_process)
    assert Mesos.made.settings["tls"] is None
    run(tmp_path, {**wish, "tls": {"ca_file": "/ca.pem"}}, stop_this_process)
    assert Mesos.made.settings["tls"] == TlsSettings(ca_file="/ca.pem")


def test_tells_systemd_that_it_is_ready_and_lives(
    tmp_path: Path, wish: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "60000000")
        run(tmp_path, wish, stop_this_process)
        manager.settimeout(5)
        told = [manager.recv(100), manager.recv(100)]
        while told[-1] != b"STOPPING=1":
            told.append(manager.recv(100))
    assert told[0] == b"READY=1"
    assert b"WATCHDOG=1" in told


def test_the_journal_hears_of_the_end(
    tmp_path: Path, wish: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str] = []
    monkeypatch.setattr("mesos_docker_scheduler.observability.journal.set_up", lambda level: None)
    monkeypatch.setattr(
        "mesos_docker_scheduler.observability.journal.logger.info", lambda form, line: heard.append(line)
    )
    monkeypatch.setattr(
        "mesos_docker_scheduler.observability.journal.logger.error", lambda form, line: heard.append(line)
    )
    path = tmp_path / "config.json"
    path.write_text(json.dumps(wish))
    Mesos.story = stop_this_process
    assert cli.main(["run", "--config", str(path)]) == 0
    assert heard[-1] == 'stopped text="0 instances are left running"'

    Mesos.story = lambda scheduler: scheduler.error(None, "Framework failed over")
    assert cli.main(["run", "--config", str(path)]) == 77
    assert heard[-1].startswith('ended status=77 text="another scheduler has taken over')
