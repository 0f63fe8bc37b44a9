"""The driver as a whole against a scripted master, in this process."""

from __future__ import annotations

import gc
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from certificates import server_context, tls_settings
from mesos_docker_scheduler.driver import CallFailed, SchedulerDriver, TlsSettings
from mesos_docker_scheduler.driver.connection import ConnectionEnded, SubscriptionForbidden
from mesos_docker_scheduler.driver.credential import Credential, basic_authorization
from recorder import FRAMEWORK, Recorder, running
from scripted_master import ACCEPTED, FRAMEWORK_ID, STREAM_ID, TAKE_IN, Answer, Request, ScriptedMaster

STATUS = {"task_id": {"value": "t1"}, "agent_id": {"value": "a1"}, "state": "TASK_RUNNING", "uuid": "AAAA"}


@pytest.fixture
def master() -> Iterator[ScriptedMaster]:
    with ScriptedMaster() as scripted:
        yield scripted


def answering(**answers: Answer) -> Callable[[Request], Answer]:
    """Answer calls of these types so, others as usual."""
    return lambda request: answers.get(request.type, TAKE_IN if request.type == "SUBSCRIBE" else ACCEPTED)


# Callbacks


O1, I1, A1, E1 = ({"value": value} for value in ("o1", "i1", "a1", "e1"))


@pytest.mark.parametrize(
    ("event", "body", "callback", "arguments"),
    [
        ("OFFERS", {"offers": [{"id": O1}]}, "resourceOffers", ([{"id": O1}],)),
        ("INVERSE_OFFERS", {"inverse_offers": [{"id": I1}]}, "inverseOffers", ([{"id": I1}],)),
        ("RESCIND", {"offer_id": O1}, "offerRescinded", ("o1",)),
        ("RESCIND_INVERSE_OFFER", {"inverse_offer_id": I1}, "inverseOfferRescinded", ("i1",)),
        ("UPDATE", {"status": STATUS}, "statusUpdate", (STATUS,)),
        ("UPDATE_OPERATION_STATUS", {"status": {"state": "x"}}, "operationStatusUpdate", ({"state": "x"},)),
        (
            "MESSAGE",
            {"agent_id": A1, "executor_id": E1, "data": "aGk="},
            "frameworkMessage",
            ("e1", "a1", "aGk="),
        ),
        ("FAILURE", {"agent_id": A1}, "slaveLost", ("a1",)),
        ("FAILURE", {"agent_id": A1, "executor_id": E1, "status": 9}, "executorLost", ("e1", "a1", 9)),
        ("FAILURE", {"executor_id": E1}, "executorLost", ("e1", None, None)),
    ],
)
def test_every_event_has_its_callback(
    master: ScriptedMaster, event: str, body: dict[str, Any], callback: str, arguments: tuple[Any, ...]
) -> None:
    with running(master.address) as (_, recorder):
        master.send({"type": event, event.lower(): body})
        assert recorder.wait_for(callback) == arguments


def test_an_event_without_what_it_must_have_is_left_out(master: ScriptedMaster) -> None:
    with running(master.address) as (_, recorder):
        for event in (
            {"type": "RESCIND"},
            {"type": "FAILURE"},
            {"type": "UPDATE", "update": {}},
            {"type": "NEW"},
            {"type": "RESCIND", "rescind": {"offer_id": {"value": None}}},
            {"type": "OFFERS", "offers": {"offers": None}},
            {"type": "INVERSE_OFFERS", "inverse_offers": {"inverse_offers": 5}},
        ):
            master.send(event)
        master.send({"type": "UPDATE", "update": {"status": STATUS}})
        recorder.wait_for("statusUpdate")
        assert [name for name, _ in recorder.heard] == ["registered", "statusUpdate"]


@pytest.mark.parametrize("body", ['"update": {"x": %s}', '"update": {"status": {}}, "x": %s'])
@pytest.mark.parametrize("depth", [900, 1010])
def test_an_event_of_any_depth_ends_nothing(master: ScriptedMaster, body: str, depth: int) -> None:
    deep = "[" * depth + "]" * depth
    with running(master.address) as (_, recorder):
        master.send(f'{{"type": "UPDATE", {body % deep}}}'.encode())
        master.send(f'{{"type": "RESCIND", "rescind": {{"offer_id": {{"value": {deep}}}}}}}'.encode())
        master.send({"type": "UPDATE", "update": {"status": STATUS}})
        assert recorder.wait_for("statusUpdate", 2 if "status" in body else 1)[0] == STATUS
        assert not recorder.all("offerRescinded")


def test_registering_tells_id_and_master_and_coming_back_the_master(master: ScriptedMaster) -> None:
    with running(master.address) as (driver, recorder):
        framework_id, info = recorder.wait_for("registered")
        assert (framework_id, info["hostname"], info["version"]) == (FRAMEWORK_ID, "master.example", "1.11.0")
        assert driver.framework_id == FRAMEWORK_ID
        assert driver.master == master.address
        assert driver.framework == {**FRAMEWORK, "id": {"value": FRAMEWORK_ID}}
        master.drop_streams()
        recorder.wait_for("disconnected")
        assert recorder.wait_for("reregistered")[0]["version"] == "1.11.0"
        assert [request.call.get("framework_id") for request in master.calls("SUBSCRIBE")] == [
            None,
            {"value": FRAMEWORK_ID},
        ]


def test_a_durable_id_is_taken_up(master: ScriptedMaster) -> None:
    framework = {**FRAMEWORK, "id": {"value": FRAMEWORK_ID}}
    with running(master.address, framework=framework) as (_, recorder):
        recorder.wait_for("reregistered")
        [request] = master.calls("SUBSCRIBE")
        assert request.call["framework_id"] == request.call["subscribe"]["framework_info"]["id"]


def test_a_scheduler_without_call_failed_loses_nothing_but_that_callback(master: ScriptedMaster) -> None:
    master.answer = answering(SUPPRESS=Answer(400))
    recorder = Recorder()
    del recorder.callFailed  # type: ignore[attr-defined]
    with running(master.address, recorder) as (driver, _):
        recorder.wait_for("registered")
        driver.suppressOffers()
        driver.reviveOffers()
        master.wait_for_calls("REVIVE")


# Calls


def test_tells_how_long_answers_took_and_what_is_under_way(master: ScriptedMaster) -> None:
    with running(master.address) as (driver, recorder):
        recorder.wait_for("registered")
        assert list(driver.call_times.read()) == []
        driver.reviveOffers()
        give_up_at = time.monotonic() + 10
        while not (read := list(driver.call_times.read())):
            assert time.monotonic() < give_up_at
        ((kind, counts, seconds),) = read
        assert (kind, sum(counts), driver.calls_open) == ("REVIVE", 1, (0, 0))
        assert 0 < seconds < 10


def test_every_call_of_the_interface_goes_out_on_the_stream(master: ScriptedMaster) -> None:
    with running(master.address) as (driver, recorder):
        recorder.wait_for("registered")
        assert driver.launchTasks(["o1"], [{"name": "web"}], 5.0)
        assert driver.declineOffer(["o1"], 5.0)
        assert driver.acceptInverseOffers(["i1"])
        assert driver.declineInverseOffer(["i1"])
        assert driver.suppressOffers(["web"])
        assert driver.reviveOffers()
        assert driver.killTask("t1")
        assert driver.acknowledgeStatusUpdate(STATUS)
        assert driver.reconcileTasks([])
        assert driver.updateFramework(FRAMEWORK)
        master.wait_for_calls("UPDATE_FRAMEWORK")
        sent = [request for request in master.requests if request.type != "SUBSCRIBE"]
        assert " ".join(request.type for request in sent) == (
            "ACCEPT DECLINE ACCEPT_INVERSE_OFFERS DECLINE_INVERSE_OFFERS SUPPRESS REVIVE KILL ACKNOWLEDGE "
            "RECONCILE UPDATE_FRAMEWORK"
        )
        assert {request.headers["mesos-stream-id"] for request in sent} == {STREAM_ID.format(1)}
        assert {request.connection for request in sent} == {2}


def test_calls_that_pymesos_builds_go_the_same_way(master: ScriptedMaster) -> None:
    driver: Any
    with running(master.address) as (driver, recorder):
        recorder.wait_for("registered")
        driver.sendFrameworkMessage({"value": "e1"}, {"value": "a1"}, "aGk=")
        driver.requestResources([])
        driver.reconcileOperations([{"operation_id": {"value": "p1"}}])
        driver.acknowledgeOperationStatusUpdate({"uuid": "A", "operation_id": {"value": "p1"}})
        master.wait_for_calls("ACKNOWLEDGE_OPERATION_STATUS")
        [message] = master.calls("MESSAGE")
        assert message.headers["mesos-stream-id"] == STREAM_ID.format(1)
        assert message.call["framework_id"] == {"value": FRAMEWORK_ID}
        assert len(master.calls("RECONCILE_OPERATIONS")) == len(master.calls("REQUEST")) == 1


def test_an_update_without_a_uuid_is_not_acknowledged(master: ScriptedMaster) -> None:
    with running(master.address) as (driver, recorder):
        recorder.wait_for("registered")
        assert driver.acknowledgeStatusUpdate({**STATUS, "uuid": ""})
        assert driver.acknowledgeStatusUpdate({key: STATUS[key] for key in ("task_id", "agent_id")})
        driver.suppressOffers()
        master.wait_for_calls("SUPPRESS")
        assert not master.calls("ACKNOWLEDGE")


def test_calls_made_while_disconnected_are_not_kept_for_later(master: ScriptedMaster) -> None:
    driver = SchedulerDriver(Recorder(), FRAMEWORK, master.address)
    assert not driver.killTask("t1")
    with running(master.address) as (driver, recorder):
        recorder.wait_for("registered")
        driver.stop()
        assert not driver.killTask("t1")
    assert not master.calls("KILL")


def test_a_call_under_way_when_the_subscription_ends_is_reported(master: ScriptedMaster) -> None:
    master.answer = answering(ACCEPT=Answer(silent=True))
    with running(master.address) as (driver, recorder):
        recorder.wait_for("registered")
        driver.acceptOffers(["o1"], [], 5.0)
        master.wait_for_calls("ACCEPT")
        master.drop_streams()
        call, error = recorder.wait_for("callFailed")
        assert call["accept"]["offer_ids"] == [{"value": "o1"}]
        assert isinstance(error, CallFailed)
        assert error.status is None
        # The scheduler hears what became of its calls before it hears that the subscription is over.
        assert [name for name, _ in recorder.heard][:3] == ["registered", "callFailed", "disconnected"]


def test_a_closed_calls_connection_is_opened_again(master: ScriptedMaster) -> None:
    master.answer = answering(SUPPRESS=Answer(202, {"Connection": "close"}), REVIVE=Answer(hang_up=True))
    with running(master.address) as (driver, recorder):
        recorder.wait_for("registered")
        driver.suppressOffers()
        master.wait_for_calls("SUPPRESS")
        driver.reviveOffers()
        call, _ = recorder.wait_for("callFailed")
        assert call["type"] == "REVIVE"
        driver.killTask("t1")
        master.wait_for_calls("KILL")
        assert len(master.calls("SUBSCRIBE")) == 1


@pytest.mark.parametrize(
    "answer", [Answer(403, body="Framework is not subscribed"), Answer(307, {"Location": "//x"})]
)
def test_a_subscription_that_the_master_does_not_know_is_renewed(
    master: ScriptedMaster, answer: Answer
) -> None:
    master.answer = answering(SUPPRESS=answer)
    with running(master.address) as (driver, recorder):
        recorder.wait_for("registered")
        driver.suppressOffers()
        recorder.wait_for("disconnected")
        recorder.wait_for("reregistered")
        driver.killTask("t1")
        [kill] = master.wait_for_calls("KILL")
        assert kill.headers["mesos-stream-id"] == STREAM_ID.format(2)


def test_calls_from_many_threads_all_arrive(master: ScriptedMaster) -> None:
    with running(master.address) as (driver, recorder):
        recorder.wait_for("registered")

        def kill(start: int) -> None:
            for number in range(start, start + 500):
                assert driver.killTask(str(number))

        threads = [threading.Thread(target=kill, args=(start,)) for start in range(0, 4000, 500)]
        for thread in threads:
            thread.start()
        kills = master.wait_for_calls("KILL", 4000, seconds=30)
        assert {int(request.call["kill"]["task_id"]["value"]) for request in kills} == set(range(4000))


def test_a_large_call_arrives_whole(master: ScriptedMaster) -> None:
    tasks = [(f"task-{number}", "agent-1") for number in range(50_000)]
    with running(master.address) as (driver, recorder):
        recorder.wait_for("registered")
        driver.reconcileTasks(tasks)
        [request] = master.wait_for_calls("RECONCILE", seconds=30)
        assert len(request.call["reconcile"]["tasks"]) == 50_000


# The framework's settings


def test_an_update_keeps_what_is_suppressed(master: ScriptedMaster) -> None:
    with running(master.address) as (driver, recorder):
        recorder.wait_for("registered")
        driver.suppressOffers()
        driver.reviveOffers(["db"])
        driver.updateFramework({**FRAMEWORK, "webui_url": "http://x"}, {"role_constraints": {}})
        [request] = master.wait_for_calls("UPDATE_FRAMEWORK")
        body = request.call["update_framework"]
        assert body["suppressed_roles"] == ["web"]
        assert body["offer_constraints"] == {"role_constraints": {}}
        assert body["framework_info"]["webui_url"] == "http://x"


def test_an_update_holds_for_later_subscriptions(master: ScriptedMaster) -> None:
    with running(master.address) as (driver, recorder):
        recorder.wait_for("registered")
        driver.updateFramework({**FRAMEWORK, "webui_url": "http://x"})
        master.wait_for_calls("UPDATE_FRAMEWORK")
        master.drop_streams()
        recorder.wait_for("reregistered")
        info = master.calls("SUBSCRIBE")[1].call["subscribe"]["framework_info"]
        assert info["webui_url"] == "http://x"


def test_a_refused_update_does_not_hold(master: ScriptedMaster) -> None:
    master.answer = answering(UPDATE_FRAMEWORK=Answer(403, body="not authorized to use role 'x'"))
    with running(master.address) as (driver, recorder):
        recorder.wait_for("registered")
        driver.updateFramework({**FRAMEWORK, "roles": ["x"]})
        _, error = recorder.wait_for("callFailed")
        assert str(error) == "HTTP 403: not authorized to use role 'x'"
        master.drop_streams()
        recorder.wait_for("reregistered")
        assert master.calls("SUBSCRIBE")[1].call["subscribe"]["framework_info"]["roles"] == ["web", "db"]


def test_an_update_made_while_subscribing_is_sent_afterwards(master: ScriptedMaster) -> None:
    slow = threading.Event()

    def answer(request: Request) -> Answer:
        if request.type == "SUBSCRIBE":
            slow.wait(10)
        return TAKE_IN if request.type == "SUBSCRIBE" else ACCEPTED

    master.answer = answer
    with running(master.address) as (driver, _):
        master.wait_for_calls("SUBSCRIBE")
        assert driver.updateFramework({**FRAMEWORK, "webui_url": "http://x"}) is False
        slow.set()
        [request] = master.wait_for_calls("UPDATE_FRAMEWORK")
        assert request.call["update_framework"]["framework_info"]["webui_url"] == "http://x"


@pytest.mark.parametrize("field", ["user", "checkpoint", "principal"])
def test_fields_that_mesos_cannot_change_are_refused(field: str) -> None:
    driver = SchedulerDriver(Recorder(), FRAMEWORK, "m1")
    with pytest.raises(
        ValueError, match=f"framework {field}: 'x' is not allowed; Mesos can't change it from"
    ):
        driver.updateFramework({**FRAMEWORK, field: "x"})


# Credentials and TLS


def test_the_principal_of_the_credential_is_that_of_the_framework(master: ScriptedMaster) -> None:
    with running(master.address, credential=Credential("pröng", lambda: ["s:ö"])) as (driver, recorder):
        recorder.wait_for("registered")
        driver.suppressOffers()
        master.wait_for_calls("SUPPRESS")
        for request in master.requests:
            assert request.headers["authorization"] == "Basic cHLDtm5nOnM6w7Y="
        assert master.requests[0].call["subscribe"]["framework_info"]["principal"] == "pröng"


def test_goes_on_while_its_secret_is_replaced() -> None:
    """The masters are started again with the next one at some time after our file has changed, or before."""
    known, secrets = ["old"], ["old"]

    def answer(request: Request) -> Answer:
        if request.headers["authorization"] != basic_authorization("p", known[-1]):
            return Answer(401)
        return TAKE_IN if request.type == "SUBSCRIBE" else ACCEPTED

    with (
        ScriptedMaster(answer) as master,
        running(master.address, credential=Credential("p", lambda: secrets)) as (driver, recorder),
    ):
        recorder.wait_for("registered")
        secrets[:] = ["new", "old"]
        driver.suppressOffers()
        master.wait_for_calls("SUPPRESS")
        known.append("new")
        master.drop_connections()
        recorder.wait_for("reregistered")
        driver.reviveOffers()
        master.wait_for_calls("REVIVE")
        known.append("newer")
        master.drop_connections()
        master.wait_for_calls("SUBSCRIBE", 5)
        secrets[:] = ["newer", "new"]
        recorder.wait_for("reregistered", 2)
        driver.suppressOffers()
        master.wait_for_calls("SUPPRESS", 2)
        assert not [error for _, error in recorder.all("callFailed") if error.status is not None]


def test_two_principals_are_refused() -> None:
    with pytest.raises(ValueError, match=r"framework principal: 'a' is not allowed; .* credential, 'b'"):
        SchedulerDriver(
            Recorder(), {**FRAMEWORK, "principal": "a"}, "m1", credential=Credential("b", lambda: ["s"])
        )


def tls_master(certificates: Path) -> ScriptedMaster:
    """Return a master that speaks TLS 1.3 and asks for a certificate."""
    context = server_context(certificates)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return ScriptedMaster(tls=context)


@pytest.mark.parametrize("scheme", ["", "https://"])
def test_tls_with_certificates_on_both_sides(certificates: Path, scheme: str) -> None:
    with (
        tls_master(certificates) as master,
        running(scheme + master.address, tls=tls_settings(certificates)) as (driver, recorder),
    ):
        recorder.wait_for("registered")
        for number in range(2000):
            driver.killTask(str(number))
        master.wait_for_calls("KILL", 2000, seconds=30)
        offers = [{"id": {"value": str(number)}, "padding": "x" * 1000} for number in range(2000)]
        master.send({"type": "OFFERS", "offers": {"offers": offers}})
        assert recorder.wait_for("resourceOffers") == (offers,)


def test_an_unknown_authority_is_told(certificates: Path) -> None:
    settings = tls_settings(certificates, ca_file=None)
    with tls_master(certificates) as master, running(master.address, tls=settings) as (driver, _):
        wait_until(lambda: "CERTIFICATE_VERIFY_FAILED" in (driver.problem or ""), lambda: driver.problem)


def test_verification_can_be_turned_off(certificates: Path) -> None:
    settings = tls_settings(certificates, ca_file=None, verify=False)
    with tls_master(certificates) as master, running(master.address, tls=settings) as (_, recorder):
        recorder.wait_for("registered")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (TlsSettings(ca_file="/nowhere"), "tls.ca_file: '/nowhere' can't be used: .*No such file"),
        (TlsSettings(cert_file="/nowhere"), "tls.cert_file: '/nowhere', .* can't be used: .*No such file"),
        (TlsSettings(key_file="/nowhere"), "tls.key_file: '/nowhere' is given without tls.cert_file"),
    ],
)
def test_unusable_tls_files_are_named(settings: TlsSettings, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        settings.context()


def wait_until(condition: Callable[[], bool], what: Callable[[], object]) -> None:
    """Wait up to ten seconds."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, what()
        time.sleep(0.02)


# Connecting


def test_why_there_is_no_subscription_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with running(f"127.0.0.1:{port}") as (driver, recorder):
        wait_until(lambda: "can't connect" in (driver.problem or ""), lambda: driver.problem)
        assert str(port) in str(driver.problem)
        assert not driver.connected
    assert recorder.heard == []


@pytest.mark.parametrize("name", ["no-such-host.invalid", "x" * 70 + ".invalid", "a..b"])
def test_names_that_mean_nothing_are_told(name: str) -> None:
    with running(f"{name}:5050") as (driver, _):
        wait_until(lambda: "can't connect" in (driver.problem or ""), lambda: driver.problem)


def test_stopping_does_not_wait_for_a_master_that_does_not_answer() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as deaf,
        running(f"127.0.0.1:{deaf.getsockname()[1]}") as (driver, _),
    ):
        time.sleep(0.1)
        assert not driver.connected


# The end


def test_error_stops_the_driver(master: ScriptedMaster) -> None:
    with running(master.address) as (driver, recorder):
        recorder.wait_for("registered")
        master.send({"type": "ERROR", "error": {"message": "Framework failed over"}})
        driver.join()
        assert driver.aborted
        assert [name for name, _ in recorder.heard] == ["registered", "disconnected", "error"]
        assert not driver.killTask("t1")


def test_stopping_and_joining_in_a_callback_works(master: ScriptedMaster) -> None:
    recorder = Recorder()

    def leave(driver: SchedulerDriver, *_: Any) -> None:
        driver.stop()
        driver.join()

    recorder.reactions["registered"] = leave
    with running(master.address, recorder) as (driver, _):
        driver.join()
        assert [name for name, _ in recorder.heard] == ["registered", "disconnected"]


def test_what_is_queued_still_goes_out_when_stopping(master: ScriptedMaster) -> None:
    with running(master.address) as (driver, recorder):
        recorder.wait_for("registered")
        for _ in range(100):
            driver.acknowledgeStatusUpdate(STATUS)
        driver.stop()
        driver.join()
        assert len(master.calls("ACKNOWLEDGE")) == 100


def test_a_driver_runs_once(master: ScriptedMaster) -> None:
    with running(master.address) as (driver, _), pytest.raises(RuntimeError, match="make a new one"):
        driver.start()


# Teardown


def test_teardown_needs_confirmation_and_stops_the_driver(master: ScriptedMaster) -> None:
    with running(master.address) as (driver, recorder):
        recorder.wait_for("registered")
        with pytest.raises(ValueError, match="confirm=True"):
            driver.teardown()
        for almost in (1, "yes"):
            with pytest.raises(ValueError, match="confirm=True"):
                driver.teardown(confirm=almost)  # type: ignore[arg-type]
        assert not master.calls("TEARDOWN")
        assert driver.teardown(confirm=True)
        driver.join()
        [request] = master.calls("TEARDOWN")
        assert request.call == {"type": "TEARDOWN", "framework_id": {"value": FRAMEWORK_ID}}
        assert len(master.calls("SUBSCRIBE")) == 1
        assert not recorder.all("callFailed")


def test_a_teardown_answered_after_the_end_of_the_stream_is_accepted(master: ScriptedMaster) -> None:
    def answer(request: Request) -> Answer:
        if request.type == "TEARDOWN":
            master.drop_streams()
            return Answer(202, delay=0.3)
        return TAKE_IN if request.type == "SUBSCRIBE" else ACCEPTED

    master.answer = answer
    with running(master.address) as (driver, recorder):
        recorder.wait_for("registered")
        driver.teardown(confirm=True)
        driver.join()
        assert [name for name, _ in recorder.heard] == ["registered", "disconnected"]
        assert len(master.calls("SUBSCRIBE")) == 1


def test_a_teardown_that_is_never_answered_is_reported(master: ScriptedMaster) -> None:
    def answer(request: Request) -> Answer:
        if request.type == "TEARDOWN":
            master.drop_streams()
            return Answer(hang_up=True)
        return TAKE_IN if request.type == "SUBSCRIBE" else ACCEPTED

    master.answer = answer
    with running(master.address) as (driver, recorder):
        recorder.wait_for("registered")
        driver.teardown(confirm=True)
        call, error = recorder.wait_for("callFailed")
        assert (call["type"], error.status) == ("TEARDOWN", None)


def test_a_refused_teardown_is_reported_and_the_driver_goes_on(master: ScriptedMaster) -> None:
    master.answer = answering(TEARDOWN=Answer(500, body="no"))
    with running(master.address) as (driver, recorder):
        recorder.wait_for("registered")
        driver.teardown(confirm=True)
        call, error = recorder.wait_for("callFailed")
        assert (call["type"], error.status) == ("TEARDOWN", 500)
        assert driver.connected


@pytest.mark.parametrize("arguments", [(), (False,), (True,)])
@pytest.mark.parametrize("ending", ["stop", "abort", "_shutdown"])
def test_no_end_of_the_driver_leads_to_teardown(
    master: ScriptedMaster, ending: str, arguments: tuple[bool, ...]
) -> None:
    with running(master.address) as (driver, recorder):
        recorder.wait_for("registered")
        getattr(driver, ending)(*arguments if ending == "stop" else ())
    del driver
    gc.collect()
    assert not master.calls("TEARDOWN")


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("_teardown", ()),
        ("_send", ({"type": "TEARDOWN"},)),
        ("change_master", (None,)),
        ("onNoMasterDetectedMessage", ()),
    ],
)
def test_what_pymesos_would_tear_down_or_disconnect_with_is_refused(
    master: ScriptedMaster, method: str, arguments: tuple[Any, ...]
) -> None:
    with running(master.address) as (driver, recorder):
        recorder.wait_for("registered")
        with pytest.raises(RuntimeError):
            getattr(driver, method)(*arguments)
        assert driver.connected
    assert not master.calls("TEARDOWN")


def test_a_failure_of_the_drivers_own_thread_does_not_tear_down(
    master: ScriptedMaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(master.address) as (driver, recorder):
        recorder.wait_for("registered")

        def fail(*_: Any) -> None:
            raise RuntimeError("a bug")

        monkeypatch.setattr("mesos_docker_scheduler.driver.worker.Worker._read_stream", fail)
        master.send({"type": "HEARTBEAT"})
        driver.join()
        assert [name for name, _ in recorder.heard] == ["registered", "disconnected", "error"]
    assert not master.calls("TEARDOWN")


# Before it subscribes


def test_labels_are_learned_before_each_subscription_and_kept(master: ScriptedMaster) -> None:
    asked: list[str | None] = []

    def before_subscribe(framework_id: str | None, failed_over: bool) -> dict[str, str]:
        assert not failed_over
        asked.append(framework_id)
        return {"number": str(len(asked))}

    with running(master.address, before_subscribe=before_subscribe) as (driver, recorder):
        recorder.wait_for("registered")
        driver.updateFramework({**FRAMEWORK, "webui_url": "http://x"})
        (update,) = master.wait_for_calls("UPDATE_FRAMEWORK")
        master.drop_streams()
        recorder.wait_for("reregistered")
        assert driver.framework["labels"] == {"labels": [{"key": "number", "value": "2"}]}
    infos = [
        *(request.call["subscribe"]["framework_info"] for request in master.calls("SUBSCRIBE")),
        update.call["update_framework"]["framework_info"],
    ]
    assert [info["labels"]["labels"][0]["value"] for info in infos] == ["1", "2", "1"]
    assert asked == [None, FRAMEWORK_ID]


def test_it_does_not_connect_when_it_must_not_subscribe_now(master: ScriptedMaster) -> None:
    answers: Iterator[ConnectionEnded | dict[str, str]] = iter(
        [ConnectionEnded("somebody else is there"), {}]
    )

    def before_subscribe(_: str | None, failed_over: bool) -> dict[str, str]:
        answer = next(answers)
        if isinstance(answer, ConnectionEnded):
            raise answer
        return answer

    with running(master.address, before_subscribe=before_subscribe) as (driver, recorder):
        wait_until(lambda: "somebody else is there" in (driver.problem or ""), lambda: driver.problem)
        recorder.wait_for("registered")


def test_it_ends_when_it_must_not_subscribe_any_more(master: ScriptedMaster) -> None:
    def before_subscribe(_: str | None, failed_over: bool) -> dict[str, str]:
        raise SubscriptionForbidden("another host owns it")

    with running(master.address, before_subscribe=before_subscribe) as (driver, recorder):
        assert recorder.wait_for("error") == ("another host owns it",)
        driver.join()
    assert not master.calls("SUBSCRIBE")


def test_it_may_contest_that_somebody_else_has_the_framework(master: ScriptedMaster) -> None:
    asked: list[bool] = []

    def before_subscribe(_: str | None, failed_over: bool) -> dict[str, str]:
        asked.append(failed_over)
        if len(asked) > 2:
            raise SubscriptionForbidden("another host owns it")
        return {}

    with running(master.address, before_subscribe=before_subscribe) as (driver, recorder):
        recorder.wait_for("registered")
        master.send({"type": "ERROR", "error": {"message": "Framework failed over"}})
        recorder.wait_for("reregistered")
        master.send({"type": "ERROR", "error": {"message": "Framework failed over"}})
        assert recorder.wait_for("error") == ("another host owns it",)
        driver.join()
    assert asked == [False, True, True]
