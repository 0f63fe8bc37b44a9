"""The trail: who has changed what, from where; who was refused; and what never stands in it."""

from __future__ import annotations

import io
import logging

import pytest
from mesos_docker_scheduler import web
from mesos_docker_scheduler.observability import journal
from mesos_docker_scheduler.web.audit import Audit
from mesos_docker_scheduler.web.callers import COOKIE
from site_fake import ANY, TOKEN, Site

SCALE = "/v1/services/web/scale"


@pytest.fixture
def site() -> Site:
    made = Site(access=web.Access(TOKEN, "token"))
    made.run()
    return made


def trail(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name.endswith(".audit")]


def test_a_change_is_one_line(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.post(SCALE, {"count": 5})
    assert trail(caplog) == [f"audit who=site address=testclient method=POST path={SCALE} status=200"]


def test_a_change_that_fails_is_one_too(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.post("/v1/services/nothing/pause")
    site.post(SCALE, {"count": "x"})
    assert [line.rpartition(" ")[2] for line in trail(caplog)] == ["status=404", "status=400"]


def test_reading_is_none(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.get("/v1/status")
    site.stranger.get("/")
    assert trail(caplog) == []


def test_who_is_refused_is_told(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    token = site.client.post("/v1/tokens/bob/create", json={"role": "read"}).json()["token"]
    caplog.clear()
    site.stranger.get("/v1/status")
    site.stranger.post(SCALE, headers={"Authorization": "Bearer wrong-wrong"})
    site.stranger.post(SCALE, headers={**ANY, "Authorization": f"Bearer {token}"})
    site.stranger.get("/v1/tokens", headers={"Authorization": f"Bearer {token}"})
    assert trail(caplog) == [
        "audit address=testclient method=GET path=/v1/status status=401",
        f"audit address=testclient method=POST path={SCALE} status=401",
        f"audit who=bob address=testclient method=POST path={SCALE} status=403",
        "audit who=bob address=testclient method=GET path=/v1/tokens status=403",
    ]
    levels = {record.levelno for record in caplog.records if record.name.endswith(".audit")}
    assert levels == {logging.WARNING}


def test_the_page_is_told_from_programs(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    ours = {"Origin": "http://localhost"}
    site.stranger.post("/v1/session/begin", json={"token": TOKEN}, headers=ours)
    site.stranger.post(SCALE, json={"count": 5}, headers={**ANY, **ours})
    site.stranger.post("/v1/session/end", headers=ours)
    assert [line.removeprefix("audit who=site address=testclient ") for line in trail(caplog)] == [
        "method=POST path=/v1/session/begin status=200",
        f"via=page method=POST path={SCALE} status=200",
        "via=page method=POST path=/v1/session/end status=200",
    ]


def test_no_secret_stands_in_it(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    ours = {"Origin": "http://localhost"}
    token = site.client.post("/v1/tokens/bob/create", json={"role": "read"}).json()["token"]
    site.stranger.post("/v1/session/begin", json={"token": token}, headers=ours)
    cookie = site.stranger.cookies[COOKIE]
    site.stranger.post(f"{SCALE}?token={TOKEN}", json={"count": 5}, headers={**ANY, **ours})
    site.stranger.post("/v1/session/begin", json={"token": "hunter2-hunter2"}, headers=ours)
    site.stranger.get("/v1/status", headers={"Authorization": "Bearer hunter2-hunter2"})
    for secret in (token, TOKEN, cookie, "hunter2"):
        assert secret not in "\n".join(trail(caplog))


def test_nobody_can_fill_the_journal(caplog: pytest.LogCaptureFixture) -> None:
    audit = Audit()
    for number in range(1_000):
        audit.tell(None, f"10.0.{number // 250}.1", "GET", "/v1/status", 401, reading=True)
    lines = trail(caplog)
    assert len(lines) == 4 * 20
    # What is not written is counted.
    assert [line.partition("left_out=")[2] for line in lines if "left_out=" in line] == ["230"] * 3


def test_a_path_can_not_look_like_another_line(caplog: pytest.LogCaptureFixture) -> None:
    audit = Audit()
    audit.tell(None, "10.0.0.1", "GET", '/x" who=site\naudit ' + "y" * 1_000, 401, reading=True)
    (line,) = trail(caplog)
    assert "\n" not in line
    assert len(line) < 400
    assert "path=\"/x' who=site audit y" in line


def test_it_is_written_whatever_the_log_level_is(site: Site) -> None:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    stream = io.StringIO()
    try:
        journal.set_up("error", stream)
        site.post(SCALE, {"count": 5})
    finally:
        root.handlers[:], level = before
        root.setLevel(level)
    assert "audit who=site" in stream.getvalue()
