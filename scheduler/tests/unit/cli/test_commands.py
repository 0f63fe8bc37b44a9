"""The commands against the real API on loopback: what they show, what they change, how they exit."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from certificates import SelfSigned
from hand_driven_site import TOKEN, HandDrivenSite
from mesos_docker_scheduler import cli, web
from mesos_docker_scheduler.cli import api
from mesos_docker_scheduler.cli.options import URL_VARIABLE, Given
from mesos_docker_scheduler.exits import FAILED, FAILED_BEFORE, NOT_YET, OK, REFUSED, UNREACHABLE, ExitError
from scheduler_fakes import Bench, service

Run = Callable[..., tuple[int, str, str]]


def run_all(bench: Bench) -> None:
    """Subscribe, and have all run that is wanted."""
    bench.subscribe("framework-1")
    bench.launch("a", "b")
    bench.take(after=10)


@pytest.fixture
def site() -> Iterator[HandDrivenSite]:
    made = HandDrivenSite(service(count=2))
    made.start()
    made.do(run_all)
    yield made
    made.stop()


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    return path


@pytest.fixture
def run(site: HandDrivenSite, token_file: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command; gives its exit status, output and errors."""

    def command(*words: str) -> tuple[int, str, str]:
        status = cli.main([*words, "--url", site.url, "--token-file", str(token_file)])
        said = capsys.readouterr()
        return status, said.out, said.err

    return command


def test_status_tells_how_everything_is(run: Run) -> None:
    status, out, _ = run("status")
    assert status == OK
    for words in ("connected to m1:5050, as framework framework-1", "web", "healthy", "demo/web:1"):
        assert words in out
    body = json.loads(run("status", "--json")[1])
    assert body["services"][0]["running"] == 2
    assert "instances" not in body["services"][0]


def test_lists_are_tables_for_people_and_json_for_programs(run: Run, site: HandDrivenSite) -> None:
    ids = {one.task_id for one in site.view().instances}
    headings = "SERVICE WANTED RUNNING IN SERVICE STATE UPDATE IMAGE"
    assert run("services")[1].split("\n")[0].split() == headings.split()
    out = run("instances", "web")[1]
    assert all(task_id in out for task_id in ids)
    assert {one["task_id"] for one in json.loads(run("instances", "--json")[1])["instances"]} == ids
    assert {one["hostname"] for one in json.loads(run("agents", "--json")[1])["agents"]} == {
        "host-a",
        "host-b",
    }
    assert "host-a" in run("agents")[1]


def test_explains_what_is_missing(run: Run, site: HandDrivenSite) -> None:
    assert run("explain", "web")[1] == "web: 2 of 2 run\n"
    site.configure(service(count=3, mem=9e6))
    site.do(lambda bench: bench.take(after=5))
    status, out, _ = run("explain")
    assert status == OK
    assert "9,000,000 MiB" in out or "Mesos has offered" in out


def test_scaling_says_from_what_to_what(run: Run, site: HandDrivenSite) -> None:
    status, out, _ = run("scale", "web", "3")
    assert (status, out) == (
        OK,
        "web: 2 → 3 instances (the configuration says 2; back to it: mesos-docker-scheduler reset web)\n",
    )
    assert site.view().wanted == 3
    assert "3 (configured: 2)" in run("services")[1]
    assert run("reset", "web")[1] == "web: 2 instances of demo/web:1, as the configuration says\n"


def test_verbs_do_what_they_say(run: Run, site: HandDrivenSite) -> None:
    assert run("restart", "web")[:2] == (OK, "web: its 2 instances are being replaced\n")
    site.configure(service(count=2, image="demo/web:2"))
    assert run("pause", "web") == (OK, "web: the update is paused\n", "")
    assert run("resume", "web")[:2] == (OK, "web: the update to demo/web:2 goes on\n")
    assert run("rollback", "web")[:2] == (OK, "web: goes back to demo/web:1\n")
    assert json.loads(run("reset", "web", "--json")[1])["update"]["state"] == "rolling"
    one = site.view().instances[0].task_id
    assert run("kill", one)[:2] == (OK, f"{one} is being stopped; another takes its place\n")
    site.run("a", "b")
    other = next(each.task_id for each in site.view().instances if each.stopping is None)
    assert run("kill", other, "--scale")[:2] == (
        OK,
        f"{other} is being stopped; its service runs one fewer\n",
    )
    assert (site.view().wanted, site.view().configured) == (1, 2)


def test_all_is_reset_at_once(run: Run) -> None:
    assert run("reset", "--all") == (OK, "", "")
    run("scale", "web", "3")
    assert run("reset", "--all")[1] == "web: 2 instances of demo/web:1, as the configuration says\n"
    assert run("reset", "--all")[1] == ""
    assert run("reset")[0] == run("reset", "web", "--all")[0] == 2


def test_what_is_refused_says_why(run: Run) -> None:
    status, _, err = run("pause", "web")
    assert (status, err) == (
        REFUSED,
        "mesos-docker-scheduler: web is not being updated: there is nothing to pause\n",
    )
    status, _, err = run("scale", "wep", "3")
    assert status == REFUSED
    assert 'service "wep" is not in the configuration; its services: web' in err
    assert "count: -1 is not allowed" in run("scale", "web", "-1")[2]
    assert run("kill", "nothing")[0] == REFUSED
    assert run("reset-backoff", "web")[0] == REFUSED


def test_a_wrong_token_is_told_from_a_refusal(run: Run, token_file: Path) -> None:
    token_file.write_text("wrong")
    status, _, err = run("scale", "web", "3")
    assert (status, err) == (UNREACHABLE, "mesos-docker-scheduler: the token is wrong\n")
    token_file.unlink()
    status, _, err = run("scale", "web", "3")
    assert status == UNREACHABLE
    assert "this needs a token" in err
    assert f"{token_file} can't be read: No such file" in err


def test_tokens_are_made_listed_and_revoked(run: Run, token_file: Path) -> None:
    status, out, _ = run("tokens", "create", "ann", "--role", "operate")
    assert status == OK
    site_token, ann = token_file.read_text(), out.strip()
    listing = [line.split() for line in run("tokens", "list")[1].splitlines()]
    assert listing[0] == ["NAME", "ROLE", "SINCE", "BY"]
    assert listing[1] == ["site", "admin", "-", "http.token_file"]
    assert (listing[2][:2], listing[2][-3:]) == (["ann", "operate"], ["site,", "from", "127.0.0.1"])
    assert json.loads(run("tokens", "list", "--json")[1])["tokens"][1]["name"] == "ann"
    token_file.write_text(ann)
    assert run("scale", "web", "3")[0] == OK
    assert "(ann, from 127.0.0.1)" in run("events")[1]
    status, _, err = run("tokens", "list")
    assert status == UNREACHABLE
    assert 'the token "ann" has the role operate; this needs admin' in err
    token_file.write_text(site_token)
    assert run("tokens", "revoke", "ann")[1] == "ann lets nobody in any more\n"
    assert run("tokens", "revoke", "ann")[0] == REFUSED
    token_file.write_text(ann)
    assert "the token is wrong" in run("scale", "web", "4")[2]


def test_a_refusal_arrives_even_if_the_body_comes_late(site: HandDrivenSite) -> None:
    with socket.create_connection(("127.0.0.1", site.port), timeout=10) as connection:
        head = "POST /v1/services/web/scale HTTP/1.1\r\nIf-Match: *\r\nContent-Length: 11\r\n\r\n"
        connection.sendall(head.encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 401 ")
        connection.sendall(b'{"count":5}' + b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        heard = b""
        while b'"status":"ok"' not in heard:
            heard += connection.recv(4096)
        assert b"HTTP/1.1 200 OK" in heard


class Follower(BaseHTTPRequestHandler):
    """A scheduler that follows: it sends who wants to change something to the leader."""

    leader: ClassVar[str]
    edition: ClassVar[str] = ""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(self.answer()).encode())

    def answer(self) -> dict[str, Any]:
        if self.path.startswith("/v1/status"):
            leader = {"host": "m2", "url": self.leader} if self.leader else None
            config = {"sha256": "s", "edition": self.edition, "error": None}
            return {"leads": False, "leader": leader, "connected": False, "config": config, "services": []}
        return {"events": []} if self.path.startswith("/v1/events") else {"wanted": 2, "revision": "r"}

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(307)
        self.send_header("Location", f"{self.leader}{self.path}")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def follower() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Follower) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_goes_to_the_leader_where_another_scheduler_sends_it(
    site: HandDrivenSite, follower: str, token_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Follower.leader = site.url
    words = ["restart", "web", "--url", follower, "--token-file", str(token_file)]
    assert cli.main(words) == OK
    assert "its 2 instances are being replaced" in capsys.readouterr().out
    Follower.leader = "http://127.0.0.1:1"
    assert cli.main(words) == UNREACHABLE
    assert "no scheduler answers at http://127.0.0.1:1" in capsys.readouterr().err


def test_waits_for_what_the_leader_says(
    follower: str, site: HandDrivenSite, token_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["wait", "--timeout", "3", "--url", follower, "--token-file", str(token_file)]
    Follower.leader = site.url
    # What a follower has not heard of is not refused.
    for names in ([], ["web"]):
        assert cli.main([*words, *names, "--fail-fast"]) == OK
        assert "web: all 2 wanted instances run" in capsys.readouterr().out
    Follower.leader = ""
    assert cli.main([*words, "web", "--reset"]) == NOT_YET
    assert "No scheduler leads at the moment." in capsys.readouterr().err
    # It has gone, and the other one has not noticed.
    Follower.leader = "http://127.0.0.1:1"
    assert cli.main(words) == NOT_YET


def test_waits_for_a_leader_that_acts_on_what_this_hosts_configuration_says(
    follower: str, site: HandDrivenSite, token_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["wait", "--timeout", "1", "--url", follower, "--token-file", str(token_file)]
    Follower.leader, Follower.edition = site.url, "another"
    assert cli.main([*words, "--config-sha256", "s"]) == NOT_YET
    assert "has not read the new configuration" in capsys.readouterr().err
    # This host has not read it: nobody knows what it says.
    Follower.edition = site.bench.controller.snapshot.config.edition
    assert cli.main([*words, "--config-sha256", "another"]) == NOT_YET
    assert "has not read the new configuration" in capsys.readouterr().err
    assert cli.main([*words, "--config-sha256", "s", "--reset", "--fail-fast"]) == OK
    assert "web: all 2 wanted instances run" in capsys.readouterr().out


def test_the_leader_has_a_certificate_of_the_clusters_authority(
    tls_site: HandDrivenSite, certificate: SelfSigned, tmp_path: Path, follower: str
) -> None:
    Follower.leader = tls_site.url
    for leader_ca_file, wrong in (
        (certificate.cert_file, False),
        (SelfSigned(tmp_path, "another").cert_file, True),
    ):
        asked = api.Api(api.Target(follower, None, leader_ca_file=leader_ca_file))
        words = "does not show the right certificate" if wrong else "this needs a token"
        with pytest.raises(ExitError, match=words):
            asked.post("/v1/step-down")


def test_no_token_goes_to_a_leader_without_tls_from_a_scheduler_with_it() -> None:
    asked = api.Api(api.Target("https://127.0.0.1:1", None))
    with pytest.raises(ExitError, match=r"who does speaks no TLS: http://127\.0\.0\.1:2"):
        asked.go_to("http://127.0.0.1:2/v1/step-down")


def test_a_scheduler_that_does_not_answer(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["status", "--url", "http://127.0.0.1:1"]) == UNREACHABLE
    err = capsys.readouterr().err
    assert "no scheduler answers at http://127.0.0.1:1" in err
    assert "--url" in err


def test_events_of_all_and_of_one_service(run: Run) -> None:
    out = run("events")[1]
    assert "subscribed to the master m1:5050" in out
    assert "subscribed" not in run("events", "web")[1]
    lines = run("events", "--limit", "2", "--json")[1].splitlines()
    assert [set(json.loads(line)) >= {"id", "at", "kind", "text"} for line in lines] == [True, True]


def test_events_are_followed_until_the_connection_ends(
    run: Run, site: HandDrivenSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stream(self: Any, path: str, **_: object) -> Iterator[dict[str, Any]]:
        yield {"id": 99, "at": 0.0, "kind": "running", "text": "runs", "service": "web", "task_id": ""}
        yield {"id": 100, "at": 0.0, "kind": "running", "text": "elsewhere", "service": "db", "task_id": ""}
        raise KeyboardInterrupt

    monkeypatch.setattr(api.Api, "stream", stream)
    status, out, _ = run("events", "web", "--follow")
    assert status == 130
    assert "runs" in out
    assert "elsewhere" not in out


def test_waits_until_all_is_as_wanted(run: Run) -> None:
    assert run("wait") == (OK, "web: all 2 wanted instances run\n", "")
    body = json.loads(run("wait", "web", "--json")[1])
    assert (body["converged"], body["problem"], body["overridden"]) == (True, "", [])


def test_what_operators_have_changed_is_taken_back_before_the_wait(run: Run) -> None:
    run("scale", "web", "3")
    assert run("wait", "--reset") == (
        OK,
        "web: 2 instances of demo/web:1, as the configuration says\nweb: all 2 wanted instances run\n",
        "",
    )
    run("scale", "web", "3")
    assert json.loads(run("wait", "--reset", "--json")[1])["services"][0]["wanted"] == 2
    assert run("wait", "--reset")[1] == "web: all 2 wanted instances run\n"


def test_a_file_is_compared_with_what_runs(run: Run, tmp_path: Path, token_file: Path) -> None:
    file = tmp_path / "config.json"

    def compared(*services: dict[str, Any]) -> list[str]:
        file.write_text(json.dumps({"master": "m1:5050", "services": services}))
        status, out, err = run("check-config", str(file), "--against")
        assert (status, err) == (OK, "")
        return out.splitlines()[1:]

    same = {"name": "web", "image": "demo/web:1", "count": 2, "shutdown_delay_seconds": 0}
    assert compared(same) == ["Nothing that runs would change."]
    assert compared({**same, "image": "demo/web:2"}, {"name": "db", "image": "db:1"}) == [
        "web: its 2 instances are replaced (max_surge 1, max_unavailable 0), because of image (demo/web:1 →"
        " demo/web:2)",
        "db: is new; 1 instance is started, of db:1",
    ]
    token_file.write_text("wrong-wrong-wrong")
    assert run("check-config", str(file), "--against")[0] == UNREACHABLE


def test_what_can_not_be_taken_back_is_told(run: Run, token_file: Path) -> None:
    run("scale", "web", "1")
    token_file.write_text("wrong")
    status, out, err = run("wait", "--reset")
    assert (status, out) == (UNREACHABLE, "")
    assert "the token is wrong" in err


def test_what_had_failed_before_is_not_waited_for_if_so_wished(run: Run, site: HandDrivenSite) -> None:
    assert run("wait", "--fail-fast")[0] == OK

    def fail(bench: Bench) -> None:
        for _ in range(3):
            for instance in bench.view.instances:
                bench.tell(instance.task_id, "FAILED", instance.agent_id)
            bench.launch("a", "b")
        for instance in bench.view.instances:
            bench.tell(instance.task_id, "FAILED", instance.agent_id)
        bench.take(after=1)

    site.do(fail)
    assert run("wait", "--fail-fast", "--config-sha256", "other", "--timeout", "0.1")[0] == NOT_YET
    status, _, err = run("wait", "--fail-fast")
    assert status == FAILED_BEFORE
    assert err.startswith("Something had failed before.\nweb: 0 of 2 run. Waiting for:\n  - ")


def test_waiting_ends_with_the_explanation(run: Run, site: HandDrivenSite) -> None:
    assert run("scale", "web", "9")[0] == OK
    status, _, err = run("wait", "--timeout", "0.5")
    assert status == NOT_YET
    assert err.startswith("Not as wanted within 0.5 seconds.\nweb: 2 of 9 run. Waiting for:\n  - ")
    status, _, err = run("wait", "--idle-seconds", "1")
    assert status == FAILED
    assert err.startswith("Nothing has moved for 1 seconds.\nweb: 2 of 9 run.")


def test_waiting_for_a_service_that_is_not_there(run: Run) -> None:
    status, _, err = run("wait", "wep")
    assert (status, "wep" in err) == (REFUSED, True)


def test_waiting_for_a_configuration_that_does_not_come(run: Run) -> None:
    status, _, err = run("wait", "--config-sha256", "other", "--timeout", "0.5")
    assert status == NOT_YET
    assert "has not read the new configuration" in err


def test_waiting_for_a_scheduler_that_does_not_answer(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["wait", "--reset", "--url", "http://127.0.0.1:1", "--idle-seconds", "0.2"]
    assert cli.main(words) == UNREACHABLE
    assert "no scheduler answers" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("http", "url"),
    [
        ({"bind": "0.0.0.0", "port": 8090}, "http://127.0.0.1:8090"),  # noqa: S104
        ({"bind": "10.0.0.5", "port": 80}, "http://10.0.0.5:80"),
        ({"bind": "::", "port": 8090}, "http://[::1]:8090"),
        ({"bind": "fd00::5", "port": 8090}, "http://[fd00::5]:8090"),
        (
            {"bind": "10.0.0.5", "port": 80, "tls": {"cert_file": "/c", "key_file": "/k"}},
            "https://10.0.0.5:80",
        ),
        (None, "http://127.0.0.1:8090"),
    ],
)
def test_finds_the_scheduler_of_its_host(tmp_path: Path, http: dict[str, Any] | None, url: str) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"http": http and {**http, "token_file": "/t"}}))
    found = api.target(Given(), config)
    assert found.url == url
    assert found.token_file == (Path("/t") if http else None)
    assert found.certificate == (Path("/c") if http and "tls" in http else None)
    assert api.target(Given("http://other:1/"), config) == api.Target("http://other:1", None)
    assert api.target(Given(), tmp_path / "missing").url == "http://127.0.0.1:8090"


@pytest.fixture
def certificate(tmp_path: Path) -> SelfSigned:
    return SelfSigned(tmp_path)


@pytest.fixture
def tls_site(certificate: SelfSigned) -> Iterator[HandDrivenSite]:
    made = HandDrivenSite(
        service(), certificate=web.Certificate(str(certificate.cert_file), str(certificate.key_file))
    )
    made.start()
    yield made
    made.stop()


def test_on_its_host_the_very_certificate_of_the_scheduler_is_trusted(
    tls_site: HandDrivenSite, certificate: SelfSigned, tmp_path: Path
) -> None:
    tls = {"cert_file": str(certificate.cert_file), "key_file": str(certificate.key_file)}
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"http": {"bind": "127.0.0.1", "port": tls_site.port, "tls": tls}}))
    # Not by its name: the address that it listens on need not stand in it.
    by_name = api.Target(f"https://localhost:{tls_site.port}", None, certificate=certificate.cert_file)
    for found in (api.target(Given(), config), by_name):
        assert api.Api(found).get("/v1/services")["services"][0]["name"] == "web"
    another = SelfSigned(tmp_path, "another")
    with pytest.raises(ExitError, match=r"does not show the right certificate, the one in .*another.pem"):
        api.Api(api.Target(tls_site.url, None, certificate=another.cert_file)).get("/v1/services")


def test_from_elsewhere_the_authority_is_named(
    tls_site: HandDrivenSite, certificate: SelfSigned, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["services", "--url", tls_site.url]
    assert cli.main([*words, "--ca-file", str(certificate.cert_file)]) == OK
    assert cli.main(words) == UNREACHABLE
    assert "does not show the right certificate, one of a known authority" in capsys.readouterr().err
    assert cli.main([*words, "--ca-file", str(SelfSigned(tmp_path, "another").cert_file)]) == UNREACHABLE
    wrong_name = f"https://localhost:{tls_site.port}"
    capsys.readouterr()
    assert cli.main(["services", "--url", wrong_name, "--ca-file", str(certificate.cert_file)]) == UNREACHABLE
    assert "localhost" in capsys.readouterr().err
    assert cli.main([*words, "--ca-file", str(tmp_path / "none")]) == UNREACHABLE
    assert "can't be used: No such file" in capsys.readouterr().err
    assert cli.main(["services", "--url", tls_site.url.replace("https", "http")]) == UNREACHABLE
    assert "it may speak https" in capsys.readouterr().err


def test_the_shell_completes_the_names_of_services(
    site: HandDrivenSite, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["completion", "bash"]) == OK
    assert "_MESOS_DOCKER_SCHEDULER_COMPLETE=bash_complete" in capsys.readouterr().out
    complete: Any = api.complete_service
    monkeypatch.setenv(URL_VARIABLE, site.url)
    assert complete(None, None, "w") == ["web"]
    assert complete(None, None, "x") == []
    monkeypatch.setenv(URL_VARIABLE, "http://127.0.0.1:1")
    assert complete(None, None, "w") == []
