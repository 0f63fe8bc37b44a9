"""Logging in to the page: what the browser is given for the token, what it is good for, and when it ends."""

from __future__ import annotations

import pytest
from hand_driven_site import HandDrivenSite
from httpx2 import Client
from mesos_docker_scheduler import web
from mesos_docker_scheduler.records.tokens import Token
from mesos_docker_scheduler.web import sessions
from mesos_docker_scheduler.web.callers import COOKIE
from mesos_docker_scheduler.web.sessions import Sessions
from scheduler_fakes import service
from site_fake import ANY, TOKEN, Site
from starlette.testclient import TestClient

SCALE = "/v1/services/web/scale"
OURS = {"Origin": "http://localhost"}


@pytest.fixture
def site() -> Site:
    made = Site(access=web.Access(TOKEN, "token"))
    made.run()
    return made


def log_in(site: Site, token: str = TOKEN, **headers: str) -> str:
    """Have the stranger log in; returns the cookie as it was set."""
    answer = site.stranger.post("/v1/session/begin", json={"token": token}, headers={**OURS, **headers})
    assert answer.status_code == 200
    return str(answer.headers["set-cookie"])


def test_the_cookie_is_no_token_and_no_script_reads_it(site: Site) -> None:
    cookie = log_in(site)
    assert TOKEN not in cookie
    value, *attributes = cookie.lower().split("; ")
    assert value.startswith(f"{COOKIE}=")
    assert set(attributes) == {"httponly", "path=/", "samesite=strict"}
    assert site.stranger.get("/v1/session").json() == {"name": "site", "role": "admin"}
    assert site.stranger.get("/v1/status").status_code == 200


@pytest.mark.parametrize(
    ("scheme", "origin"), [("https", "https://localhost"), ("http", "https://localhost")]
)
def test_over_tls_it_goes_over_nothing_else(site: Site, scheme: str, origin: str) -> None:
    client = TestClient(site.app, f"{scheme}://localhost")  # a proxy may speak TLS for us
    headers = {"Origin": origin, "Host": "localhost"}
    answer = client.post("/v1/session/begin", json={"token": TOKEN}, headers=headers)
    assert "Secure" in answer.headers["set-cookie"].split("; ")


def test_changes_of_a_session_are_taken_from_our_page_alone(site: Site) -> None:
    log_in(site)
    elsewhere = [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "same-site"}]
    for headers in ({}, *elsewhere):
        answer = site.stranger.post(SCALE, json={"count": 5}, headers={**ANY, **headers})
        assert answer.status_code == 403
    assert site.view()["wanted"] == 2
    for headers in (OURS, {"Sec-Fetch-Site": "same-origin"}):
        assert site.stranger.post(SCALE, json={"count": 5}, headers={**ANY, **headers}).status_code == 200
    events = site.get("/v1/events").json()["events"]
    assert any(
        "scaled from 2 to 5" in one["text"] and "(site, from testclient)" in one["text"] for one in events
    )


def test_nobody_is_logged_in_from_another_sites_page(site: Site) -> None:
    answer = site.stranger.post(
        "/v1/session", json={"token": TOKEN}, headers={"Origin": "http://evil.example"}
    )
    assert answer.status_code == 403


def test_a_wrong_token_begins_nothing_and_guessing_is_slow(site: Site) -> None:
    statuses = [
        site.stranger.post("/v1/session/begin", json={"token": f"guess-{number}"}, headers=OURS).status_code
        for number in range(15)
    ]
    assert statuses == [401] * 10 + [429] * 5
    assert site.stranger.cookies == {}
    half = site.stranger.post("/v1/session/begin", content=rb'{"token": "\ud800"}', headers=OURS)
    assert half.status_code == 400
    log_in(site)


def test_logging_out_ends_it(site: Site) -> None:
    value = log_in(site).partition(";")[0].partition("=")[2]
    assert site.stranger.post("/v1/session/end", headers=OURS).status_code == 200
    assert site.stranger.cookies == {}
    # The cookie is worth nothing to who has kept it.
    kept = {"Cookie": f"{COOKIE}={value}"}
    assert site.stranger.get("/v1/status", headers=kept).status_code == 401
    assert site.stranger.get("/v1/session").json() == {"name": None, "role": None}
    assert site.stranger.post("/v1/session/end", headers=OURS).status_code == 200


def test_logging_in_again_ends_the_one_before(site: Site) -> None:
    old = log_in(site).partition(";")[0]
    new = log_in(site).partition(";")[0]
    site.stranger.cookies.clear()
    assert site.stranger.get("/v1/status", headers={"Cookie": old}).status_code == 401
    assert site.stranger.get("/v1/status", headers={"Cookie": new}).status_code == 200


def test_it_ends_with_its_token(site: Site) -> None:
    token = site.client.post("/v1/tokens/ann/create", json={"role": "read"}).json()["token"]
    log_in(site, token)
    assert site.stranger.get("/v1/status").status_code == 200
    assert site.stranger.post(SCALE, json={"count": 5}, headers={**ANY, **OURS}).status_code == 403
    site.client.post("/v1/tokens/ann/revoke")
    site.client.post("/v1/tokens/ann/create", json={"role": "read"})
    assert site.stranger.get("/v1/status").status_code == 401


def test_a_dead_cookie_keeps_nobody_from_what_is_open() -> None:
    site = Site()
    dead = {"Cookie": f"{COOKIE}=dead; other=1"}
    assert site.stranger.get("/v1/status", headers=dead).status_code == 200
    assert site.stranger.get("/v1/definitions", headers=dead).status_code == 401


def test_a_token_counts_more_than_a_cookie(site: Site) -> None:
    log_in(site)
    assert site.stranger.get("/v1/status", headers={"Authorization": "Bearer wrong"}).status_code == 401


def test_a_stream_ends_with_its_session() -> None:
    site = HandDrivenSite(service(), access=web.Access(TOKEN, "token"))
    site.start()
    with Client(base_url=site.url, trust_env=False, timeout=20) as client:
        ours = {"Origin": site.url}
        assert client.post("/v1/session/begin", json={"token": TOKEN}, headers=ours).status_code == 200
        with client.stream("GET", "/v1/watch") as answer:
            lines = answer.iter_lines()
            assert next(lines) == "retry: 2000"
            client.post("/v1/session/end", headers=ours)
            assert list(lines)  # they have an end
        assert client.get("/v1/watch").status_code == 401
    site.stop()


class Kept:
    """Sessions of one token, with a clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.good = True
        self.sessions = Sessions(lambda token: self.good, lambda: self.now)
        self.secret = self.sessions.begin(Token("ann", "operate", "digest"), "10.0.0.1")

    def alive(self, address: str = "10.0.0.1") -> bool:
        return self.sessions.use(self.secret, address) is not None


def test_a_session_ends_when_nobody_uses_it() -> None:
    kept = Kept()
    for _ in range(3):
        kept.now += sessions.IDLE_SECONDS - 1
        assert kept.alive()
    kept.now += sessions.IDLE_SECONDS
    assert not kept.alive()


def test_a_session_ends_when_it_is_old() -> None:
    kept = Kept()
    while kept.now + 60 < sessions.LONGEST_SECONDS:
        kept.now += 60
        assert kept.alive()
    kept.now += 60
    assert not kept.alive()


def test_to_ask_whether_it_lives_is_not_to_use_it() -> None:
    kept = Kept()
    session = kept.sessions.use(kept.secret, "10.0.0.1")
    assert session is not None
    kept.now += sessions.IDLE_SECONDS - 1
    assert kept.sessions.lives(session)
    kept.now += 1
    assert not kept.sessions.lives(session)


def test_a_session_counts_from_its_address_alone() -> None:
    kept = Kept()
    assert not kept.alive("10.0.0.2")
    assert kept.alive()


def test_a_session_without_its_token_is_none() -> None:
    kept = Kept()
    kept.good = False
    assert not kept.alive()
    kept.good = True
    assert not kept.alive()


def test_the_oldest_of_very_many_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "_MOST_SESSIONS", 2)
    kept = Kept()
    kept.sessions.begin(Token("bob", "read", "digest"), "10.0.0.2")
    assert kept.alive()
    kept.sessions.begin(Token("bob", "read", "digest"), "10.0.0.2")
    assert not kept.alive()
