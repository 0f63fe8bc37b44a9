"""The driver with a real mesos-master: what the scripted one only imitates."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mesos_docker_scheduler.driver import Credential, TlsSettings
from mesos_testbed import Certificates, Master, ZooKeeper, eventually
from mesos_testbed.mesos import Flags
from recorder import FRAMEWORK, running

pytestmark = pytest.mark.integration

DURABLE = {**FRAMEWORK, "failover_timeout": 3600.0, "capabilities": [{"type": "MULTI_ROLE"}]}

RIGHT = Credential("p", lambda: ["no", "s"])
WRONG = Credential("p", lambda: ["no"])


@pytest.fixture
def master(tmp_path: Path) -> Iterator[Master]:
    with Master(tmp_path) as running_master:
        yield running_master


def frameworks(master: Master) -> dict[str, dict[str, Any]]:
    """Return what the master knows, by id; only those that are not completed."""
    return {framework["id"]: framework for framework in master.get("/frameworks")["frameworks"]}


def test_a_framework_outlives_its_driver_and_is_taken_up_by_the_next(master: Master) -> None:
    with running(master.address, framework=DURABLE) as (driver, recorder):
        framework_id, info = recorder.wait_for("registered")
        assert info["version"] == "1.11.0"
        assert frameworks(master)[framework_id]["active"]
    eventually(lambda: not frameworks(master)[framework_id]["active"], "the framework inactive, not gone")
    framework = {**DURABLE, "id": {"value": framework_id}}
    with running(master.address, framework=framework) as (driver, recorder):
        recorder.wait_for("reregistered")
        assert list(frameworks(master)) == [framework_id]
        driver.teardown(confirm=True)
        driver.join()
    eventually(lambda: framework_id not in frameworks(master), "the framework gone")


def test_a_framework_that_was_torn_down_is_refused_for_good(master: Master) -> None:
    with running(master.address, framework=DURABLE) as (driver, recorder):
        framework_id, _ = recorder.wait_for("registered")
        driver.teardown(confirm=True)
        driver.join()
    with running(master.address, framework={**DURABLE, "id": {"value": framework_id}}) as (driver, recorder):
        assert recorder.wait_for("error") == ("Framework has been removed",)
        driver.join()


def test_a_second_driver_with_the_same_id_ends_the_first(master: Master) -> None:
    with running(master.address, framework=DURABLE) as (first, recorder):
        framework_id, _ = recorder.wait_for("registered")
        with running(master.address, framework={**DURABLE, "id": {"value": framework_id}}) as (_, other):
            other.wait_for("reregistered")
            assert recorder.wait_for("error") == ("Framework failed over",)
            first.join()


def test_calls_of_every_kind_are_accepted_in_one_go(master: Master) -> None:
    update_id = base64.b64encode(uuid.uuid4().bytes).decode()
    status = {"task_id": {"value": "t"}, "agent_id": {"value": "a"}, "uuid": update_id}
    with running(master.address, framework=DURABLE) as (driver, recorder):
        recorder.wait_for("registered")
        for _ in range(300):
            assert driver.suppressOffers()
            assert driver.declineOffer(["no-such-offer"], 1.0)
            assert driver.acceptOffers(["no-such-offer"], [], 1.0)
            assert driver.killTask("t", None, 1.5)
            assert driver.acknowledgeStatusUpdate(status)
            assert driver.reconcileTasks([])
            assert driver.reviveOffers(["web"])
        assert driver.updateFramework({**DURABLE, "webui_url": "http://x"}, {"role_constraints": {}})
        driver.reconcileTasks([("the last", "a")])

        def told_of_the_last() -> bool:
            return any(told["task_id"]["value"] == "the last" for (told,) in recorder.all("statusUpdate"))

        eventually(told_of_the_last, "the answer to the last call")
        assert not recorder.all("callFailed")
        [framework] = frameworks(master).values()
        assert framework["webui_url"] == "http://x"


def test_a_refused_call_says_why(master: Master) -> None:
    with running(master.address, framework=DURABLE) as (driver, recorder):
        recorder.wait_for("registered")
        driver.updateFramework({**DURABLE, "roles": ["a/../b"]})
        call, error = recorder.wait_for("callFailed")
        assert (call["type"], error.status) == ("UPDATE_FRAMEWORK", 400)
        assert "a/../b" in str(error) or "'..'" in str(error)


def test_an_invalid_framework_is_an_error(master: Master) -> None:
    with running(master.address, framework={**DURABLE, "roles": ["a/../b"]}) as (driver, recorder):
        [message] = recorder.wait_for("error")
        assert ".." in message
        driver.join()


def test_a_master_killed_and_started_again_is_found_again(master: Master) -> None:
    with running(master.address, framework=DURABLE) as (_, recorder):
        framework_id, _ = recorder.wait_for("registered")
        master.kill9()
        recorder.wait_for("disconnected")
        master.start()
        recorder.wait_for("reregistered", seconds=20)
        assert list(frameworks(master)) == [framework_id]


def test_basic_authentication(tmp_path: Path) -> None:
    credentials = tmp_path / "credentials.json"
    credentials.write_text(json.dumps({"credentials": [{"principal": "p", "secret": "s"}]}))
    flags: Flags = {
        "authenticate_http_frameworks": True,
        "http_framework_authenticators": "basic",
        "credentials": str(credentials),
    }
    with Master(tmp_path / "master", flags) as master:
        with running(master.address, framework=DURABLE, credential=WRONG) as (driver, recorder):
            eventually(lambda: "HTTP 401" in (driver.problem or ""), "the refusal")
            assert "the principal and secret are not accepted" in str(driver.problem)
            assert recorder.heard == []
        with running(master.address, framework=DURABLE, credential=RIGHT) as (driver, recorder):
            recorder.wait_for("registered")
            driver.suppressOffers()
            driver.reconcileTasks([("t", "a")])
            recorder.wait_for("statusUpdate")
            assert not recorder.all("callFailed")


def test_tls_with_certificates_on_both_sides(tmp_path: Path) -> None:
    tls = Certificates.make(tmp_path / "tls")
    settings = TlsSettings(str(tls.authority), str(tls.certificate), str(tls.key))
    with (
        Master(tmp_path, tls=tls) as master,
        running(master.address, framework=DURABLE, tls=settings) as (driver, recorder),
    ):
        recorder.wait_for("registered")
        for _ in range(2000):
            driver.suppressOffers()
        driver.reconcileTasks([("t", "a")])
        recorder.wait_for("statusUpdate")
        assert not recorder.all("callFailed")


def test_a_master_that_gets_no_certificate_is_told(tmp_path: Path) -> None:
    tls = Certificates.make(tmp_path / "tls")
    settings = TlsSettings(str(tls.authority))
    with Master(tmp_path, tls=tls) as master, running(master.address, tls=settings) as (driver, _):
        eventually(lambda: str(master.flags["port"]) in str(driver.problem), "a problem")
        assert not driver.connected


def test_the_leader_is_followed_by_zookeeper_and_by_redirects(tmp_path: Path) -> None:
    with ZooKeeper(tmp_path / "zookeeper") as zookeeper:
        url = f"zk://{zookeeper.address}/mesos"
        flags: Flags = {
            "zk": url,
            "quorum": 1,
            "registry": "in_memory",
            "hostname": "127.0.0.1",
            "zk_session_timeout": "4secs",
        }
        with Master(tmp_path / "m1", flags) as first:
            eventually(lambda: bool(first.get("/state").get("leader_info")), "a leader")
            with Master(tmp_path / "m2", flags) as second, running(url, framework=DURABLE) as (_, recorder):
                framework_id, info = recorder.wait_for("registered", seconds=30)
                assert info["port"] == first.flags["port"]
                framework = {**DURABLE, "name": "redirected"}
                with running(second.address, framework=framework) as (_, redirected):
                    redirected.wait_for("registered")
                assert len(frameworks(first)) == 2
                first.kill9()
                [info] = recorder.wait_for("reregistered", seconds=40)
                assert info["port"] == second.flags["port"]
                assert framework_id in frameworks(second)
