"""Tokens with roles: who may do what, how they are made and revoked, and who is named for a change."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from memory_store import MemoryStore
from mesos_docker_scheduler import web
from mesos_docker_scheduler.control.events import Command
from mesos_docker_scheduler.records.store import Change, SqliteStore, StoreError
from mesos_docker_scheduler.records.tokens import MOST_TOKENS, Token, digest, new_token
from mesos_docker_scheduler.web.bucket import Bucket
from mesos_docker_scheduler.web.callers import Caller, Callers
from scheduler_fakes import Bench, service
from site_fake import ANY, TOKEN, Site

SCALE = "/v1/services/web/scale"


def create(site: Site, name: str, role: str) -> dict[str, str]:
    """Make a token; returns the header that shows it."""
    answer = site.client.post(f"/v1/tokens/{name}/create", json={"role": role})
    assert answer.status_code == 201
    assert (answer.json()["name"], answer.json()["role"]) == (name, role)
    return {"Authorization": f"Bearer {answer.json()['token']}"}


@pytest.mark.parametrize(
    ("role", "reads", "changes", "admits"),
    [(None, 401, 401, 401), ("read", 200, 403, 403), ("operate", 200, 200, 403), ("admin", 200, 200, 200)],
)
def test_each_role_may_do_what_it_says(role: str | None, reads: int, changes: int, admits: int) -> None:
    site = Site(access=web.Access(TOKEN, "token"))
    site.run()
    who = {} if role is None else create(site, "ann", role)
    for path in ("/v1/status", "/v1/definitions", "/metrics", "/v1/events"):
        assert site.stranger.get(path, headers=who).status_code == reads
    assert site.stranger.post(SCALE, json={"count": 3}, headers={**ANY, **who}).status_code == changes
    assert site.stranger.get("/v1/tokens", headers=who).status_code == admits
    answer = site.stranger.post("/v1/tokens/bob/create", json={"role": "read"}, headers=who)
    assert answer.status_code == (201 if admits == 200 else admits)
    assert site.stranger.post("/v1/tokens/ann/revoke", headers=who).status_code == admits


def test_who_may_not_is_told_what_he_lacks(site: Site) -> None:
    bob = create(site, "bob", "read")
    answer = site.stranger.post(SCALE, json={"count": 3}, headers={**ANY, **bob})
    assert answer.json()["error"] == 'the token "bob" has the role read; this needs operate'
    answer = site.stranger.get("/v1/tokens", headers=create(site, "ann", "operate"))
    assert answer.json()["error"] == 'the token "ann" has the role operate; this needs admin'
    assert site.stranger.get("/v1/tokens").status_code == 401  # open to read is not open to admit


def test_no_token_is_called_wrong_before_those_of_the_api_are_known() -> None:
    known: list[Token] = []
    callers = Callers(TOKEN, lambda: known or None)
    for _ in range(50):
        answer = callers.by_token("made over the API", "10.0.0.1")
        assert isinstance(answer, tuple)
        assert answer[0] == 503
    assert isinstance(callers.by_token(TOKEN, "10.0.0.1"), Caller)
    known.append(Token("ann", "read", digest("made over the API"), by="site"))
    assert isinstance(callers.by_token("made over the API", "10.0.0.1"), Caller)
    answer = callers.by_token("made by nobody", "10.0.0.1")
    assert isinstance(answer, tuple)
    assert answer[0] == 401


def test_tokens_are_listed_without_themselves(site: Site) -> None:
    ann = create(site, "ann", "operate")
    (first, second) = site.client.get("/v1/tokens").json()["tokens"]
    assert first == {"name": "site", "role": "admin", "since": None, "by": "http.token_file"}
    assert (second["name"], second["role"], second["by"]) == ("ann", "operate", "site, from testclient")
    assert second["since"] == pytest.approx(site.bench.now, abs=60)
    told = site.client.get("/v1/tokens").text + str(site.bench.store.load().records)
    assert ann["Authorization"].removeprefix("Bearer ") not in told


def test_a_revoked_token_is_wrong_at_once(site: Site) -> None:
    ann = create(site, "ann", "operate")
    assert site.stranger.post(SCALE, json={"count": 3}, headers={**ANY, **ann}).status_code == 200
    assert site.client.post("/v1/tokens/ann/revoke").status_code == 200
    assert site.stranger.post(SCALE, json={"count": 4}, headers={**ANY, **ann}).status_code == 401
    assert site.client.post("/v1/tokens/ann/revoke").status_code == 404
    again = create(site, "ann", "read")
    assert again != ann
    assert site.stranger.get("/v1/definitions", headers=again).status_code == 200
    assert site.stranger.get("/v1/definitions", headers=ann).status_code == 401


@pytest.mark.parametrize("name", ["Ann", "a b", "-a", "x" * 64, "ä"])
def test_a_name_that_is_not_allowed_is_named(site: Site, name: str) -> None:
    answer = site.client.post(f"/v1/tokens/{name}/create", json={"role": "read"})
    assert answer.status_code == 400
    assert answer.json()["error"] == (
        f"name: {json.dumps(name)} is not allowed; it must be at most 63 small letters, digits, dots,"
        " dashes and underscores"
    )


def test_names_are_taken_once_and_the_sites_is_nobodys(site: Site) -> None:
    create(site, "ann", "read")
    for name in ("ann", "site"):
        answer = site.client.post(f"/v1/tokens/{name}/create", json={"role": "admin"})
        assert answer.status_code == 409
        assert f'there is a token "{name}" already' in answer.json()["error"]
    assert site.client.post("/v1/tokens/site/revoke").status_code == 409
    assert site.client.post("/v1/tokens/bob/create", json={"role": "root"}).status_code == 400


def test_there_are_not_too_many(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bucket, "wait", lambda self, client: 0.0)
    for number in range(MOST_TOKENS):
        create(site, f"token-{number}", "read")
    answer = site.client.post("/v1/tokens/more/create", json={"role": "read"})
    assert answer.json()["error"] == f"there are {MOST_TOKENS} tokens already; revoke some"


def test_each_change_says_who_has_made_it_and_from_where(site: Site) -> None:
    ann = create(site, "ann", "operate")
    site.stranger.post(SCALE, json={"count": 3}, headers={**ANY, **ann})
    site.client.post("/v1/tokens/ann/revoke")
    texts = [
        event["text"] for event in site.get("/v1/events").json()["events"] if event["kind"] == "operator"
    ]
    assert texts == [
        'token "ann" is made, with the role operate (site, from testclient)',
        "scaled from 2 to 3; the configuration says 2 (ann, from testclient)",
        'token "ann" is revoked (site, from testclient)',
    ]


def test_without_any_token_nobody_is_let_in() -> None:
    site = Site(access=web.Access())
    answer = site.client.post("/v1/tokens/ann/create", json={"role": "admin"})
    assert answer.status_code == 403
    assert "http.token_file" in answer.json()["error"]


def test_tokens_outlive_a_restart(tmp_path: Path) -> None:
    token = new_token()
    before = Bench(tmp_path, service())
    before.take(
        Command(
            lambda operations, now: operations.create_token("ann", "operate", digest(token), "a test", now),
            lambda error: None,
        )
    )
    (made,) = before.controller.tokens
    assert isinstance(before.store, SqliteStore)
    before.store.close()
    after = Bench(tmp_path, service())
    assert after.controller.tokens == (made,)
    assert token.encode() not in (tmp_path / "state.sqlite").read_bytes()


def test_one_that_can_not_be_written_down_is_not_given(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Any, change: Change) -> None:
        raise StoreError("disk full")

    monkeypatch.setattr(MemoryStore, "commit", full)
    monkeypatch.setattr("mesos_docker_scheduler.web.commands._PATIENCE_SECONDS", 0.2)
    answer = site.client.post("/v1/tokens/ann/create", json={"role": "read"})
    assert answer.status_code == 503
    assert "token" not in answer.json()


def test_tokens_are_long_and_kept_as_a_digest() -> None:
    token = new_token()
    assert len(token) >= 40
    assert token != new_token()
    assert digest(token) == hashlib.sha256(token.encode()).hexdigest()
