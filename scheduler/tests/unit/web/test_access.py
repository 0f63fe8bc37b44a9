"""Who may do what: without the token, with a wrong one, from another site, too much, too often."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Literal

import httpx2
import pytest
from mesos_docker_scheduler import web
from mesos_docker_scheduler.web.access import MOST_BODY_BYTES
from mesos_docker_scheduler.web.bucket import Bucket
from site_fake import ANY, TOKEN, Site

SCALE = "/v1/services/web/scale"


def unchanged(site: Site) -> bool:
    return site.bench.view.wanted == 2


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({}, "this needs a token"),
        ({"Authorization": "Bearer wrong-wrong-wrong"}, "the token is wrong"),
        ({"Authorization": f"Bearer {TOKEN}x"}, "the token is wrong"),
        ({"Authorization": "Bearer "}, "the token is wrong"),
        ({"Authorization": f"Basic {TOKEN}"}, "the token is wrong"),
        ({"Authorization": "Bearer \xff"}, "the token is wrong"),
    ],
)
def test_changes_need_the_token(site: Site, headers: dict[str, str], words: str) -> None:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in {**ANY, **headers}.items()]
    answer = site.stranger.post(SCALE, json={"count": 5}, headers=raw)
    assert answer.status_code == 401
    assert words in answer.json()["error"]
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert unchanged(site)


def test_reading_needs_none_unless_that_is_asked_for() -> None:
    open_site = Site()
    assert open_site.stranger.get("/v1/services").status_code == 200
    closed = Site(access=web.Access(TOKEN, "token"))
    for path in ("/v1/services", "/v1/status", "/metrics", "/v1/openapi.json", "/v1/watch"):
        assert closed.stranger.get(path).status_code == 401
    assert closed.client.get("/v1/services").status_code == 200
    # The page itself tells nothing: it asks for the token.
    for path in ("/", "/services/web", "/static/page.html", "/healthz"):
        assert closed.stranger.get(path).status_code == 200


def test_what_instances_write_always_needs_the_token(site: Site) -> None:
    path = f"/v1/instances/{site.view()['instances'][0]['task_id']}/log"
    assert site.stranger.get(path).status_code == 401
    assert site.stranger.get(f"{path}/").status_code == 401
    assert site.client.get(path).status_code == 502  # its slave has no address here


ENDINGS = (
    "",
    "/",
    "//",
    "%0A",
    "%0D",
    "%00",
    "%09",
    "%20",
    "%85",
    "%C2%85",
    "%2F",
    "%2f%0A",
    "?x",
    "#",
    ";",
    ".",
    "/.",
)


def reading_routes(site: Site) -> list[str]:
    """Every path that can be read, as the description and the pages have them; a stream's never ends."""
    task_id = site.view()["instances"][0]["task_id"]
    described = site.client.get("/v1/openapi.json").json()["paths"]
    paths = [path for path, operations in described.items() if "get" in operations]
    streams = ("/v1/watch", "/v1/events/stream")
    named = [
        path.format(name="web", task_id=task_id, session="none") for path in paths if path not in streams
    ]
    return [*named, "/v1/openapi.json", "/", "/services/web", "/static/page.html"]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("read", ["open", "token"])
def test_no_ending_of_a_path_opens_what_the_plain_one_does_not(
    read: Literal["open", "token"], ending: str
) -> None:
    site = Site(access=web.Access(TOKEN, read))
    site.run()
    for path in reading_routes(site):
        plain = site.stranger.get(path).status_code
        answer = site.stranger.get(f"{path}{ending}")
        assert answer.status_code in (plain, 401, 404), (path, answer.text)
        if plain == 401:
            assert answer.status_code != 200


def test_a_path_with_a_control_character_is_refused(site: Site) -> None:
    answer = site.client.get("/v1/status%0A")
    assert (answer.status_code, answer.json()) == (
        404,
        {"error": "nothing has a control character in its path"},
    )


def test_a_wrong_token_is_wrong_for_reading_too(site: Site) -> None:
    assert site.stranger.get("/v1/services", headers={"Authorization": "Bearer x"}).status_code == 401


def test_without_a_token_nobody_may_change_anything() -> None:
    site = Site(access=web.Access())
    answer = site.client.post(SCALE, json={"count": 5}, headers=ANY)
    assert answer.status_code == 403
    assert "http.token_file" in answer.json()["error"]
    assert site.client.get("/v1/services").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_another_sites_page_can_not_change_anything(site: Site, headers: dict[str, str]) -> None:
    answer = site.post(SCALE, {"count": 5}, **headers)
    assert answer.status_code == 403
    assert unchanged(site)


def test_our_own_page_can(site: Site) -> None:
    ours = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}
    assert site.post(SCALE, {"count": 5}, **ours).status_code == 200


def test_a_huge_body_is_refused(site: Site) -> None:
    huge = b"x" * (MOST_BODY_BYTES + 1)
    assert site.client.post(SCALE, content=huge, headers=ANY).status_code == 413
    assert site.client.post(SCALE, content=iter([b"x" * 1000] * 100), headers=ANY).status_code == 413
    assert site.stranger.post(SCALE, content=huge).status_code == 413
    assert unchanged(site)


def test_ten_thousand_odd_bodies_change_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bucket, "wait", lambda self, client: 0.0)
    dice = random.Random(4711)  # noqa: S311
    pieces = [
        *(b'{"count":', b"}", b"[", b"]", b'"', b",", b"null", b"1e9", b"-1", b"true", b"{", b"\x00"),
        *(b"\xff", b'"count"', b":", b"5.5", b'"5"', b"1e400", b"NaN", b"\\u0000", b"9" * 20, b" "),
    ]

    async def send() -> None:
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json", **ANY}
        transport = httpx2.ASGITransport(site.app)
        async with httpx2.AsyncClient(
            transport=transport, base_url="http://localhost", headers=headers
        ) as client:
            for _ in range(10_000):
                body = b"".join(dice.choices(pieces, k=dice.randrange(12)))
                answer = await client.post(SCALE, content=body)
                assert answer.status_code == 400, (body, answer.text)
                assert answer.json()["error"]

    asyncio.run(send())
    assert unchanged(site)


def test_too_many_changes_have_to_wait(site: Site) -> None:
    statuses = [site.post("/v1/services/web/reset").status_code for _ in range(60)]
    assert statuses[:50] == [200] * 50
    assert 429 in statuses
    answer = site.post("/v1/services/web/reset")
    while answer.status_code != 429:
        answer = site.post("/v1/services/web/reset")
    assert int(answer.headers["retry-after"]) >= 1


def test_guessing_tokens_is_slow(site: Site) -> None:
    guess = {"Authorization": "Bearer guessed-guessed-guessed", **ANY}
    statuses = [site.stranger.post(SCALE, json={"count": 5}, headers=guess).status_code for _ in range(20)]
    assert statuses == [401] * 10 + [429] * 10
    assert unchanged(site)


def test_who_guesses_locks_nobody_out(site: Site) -> None:
    for _ in range(20):
        site.stranger.get("/v1/services", headers={"Authorization": "Bearer guessed-guessed-guessed"})
    assert site.client.get("/v1/services").status_code == 200
    assert site.post(SCALE, {"count": 5}).status_code == 200


def test_a_bucket_fills_again() -> None:
    now = 0.0
    bucket = Bucket(2.0, 3, clock=lambda: now)
    for _ in range(3):
        assert bucket.wait("a") == 0
        bucket.take("a")
    assert bucket.wait("a") == 0.5
    assert bucket.wait("b") == 0
    now = 0.5
    assert bucket.wait("a") == 0


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8090", "[::1]:8090", "localhost", "10.0.0.5", "Mesos.example.org.:443"]
)
def test_the_scheduler_is_reached_by_its_names(host: str) -> None:
    site = Site(access=web.Access(TOKEN, hosts=web.Hosts(["mesos.example.org"])))
    assert site.stranger.get("/v1/services", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example:8090", "[::1", "a@b@c", "1.2.3"])
def test_a_name_that_leads_here_from_elsewhere_reads_nothing(host: str) -> None:
    hosts = web.Hosts(["mesos.example.org"])
    site = Site(access=web.Access(TOKEN, hosts=hosts))
    for path in ("/v1/services", "/v1/watch", "/metrics", "/"):
        answer = site.stranger.get(path, headers={"Host": host})
        assert (answer.status_code, "http.allowed_hosts" in answer.text) == (421, True)
    assert site.post(SCALE, {"count": 5}, Host=host).status_code == 421
    # A health check may call us what it likes, and what needs the token can't be read without.
    assert site.stranger.get("/healthz", headers={"Host": host}).status_code == 200
    closed = Site(access=web.Access(TOKEN, "token", hosts))
    assert closed.client.get("/v1/services", headers={"Host": host}).status_code == 200
    assert closed.stranger.get("/v1/services", headers={"Host": host}).status_code == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        # nginx as it is by default: it asks for the address of its upstream.
        ({"Origin": "https://mesos.example.org", "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Origin": "http://mesos.example.org:8080"}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "https://mesos.example.org", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "http://[::1"}, 403),
        ({"Origin": "null", "Host": ""}, 403),
        # Another page of our own host, such as a container's.
        ({"Origin": "http://mesos.example.org:31000", "Host": "mesos.example.org:8090"}, 403),
    ],
)
def test_a_page_that_comes_through_a_proxy(headers: dict[str, str], status: int) -> None:
    site = Site(access=web.Access(TOKEN, hosts=web.Hosts(["mesos.example.org"])))
    site.run()
    assert site.post(SCALE, {"count": 5}, **{"Host": "127.0.0.1:8090", **headers}).status_code == status


def test_the_hosts_own_names_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "Sched01")
    monkeypatch.setattr("socket.getfqdn", lambda: "sched01.example.org")
    hosts = web.Hosts()
    deadline = time.monotonic() + 5
    while not hosts.allow("sched01.example.org:8090") and time.monotonic() < deadline:
        time.sleep(0.01)
    for host in ("sched01", "SCHED01:8090", "sched01.example.org.", "", None):
        assert hosts.allow(host)
    assert not hosts.allow("sched01.evil.example")
