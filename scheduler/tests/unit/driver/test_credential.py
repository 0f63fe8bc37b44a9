"""What is shown as a principal while its secret is replaced."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from mesos_docker_scheduler.driver.credential import Credential, basic_authorization

OLD, NEW, NEWER = (basic_authorization("p", secret) for secret in ("old", "new", "newer"))


def test_is_written_as_rfc_7617_has_it() -> None:
    shown = basic_authorization("pröng", "s:ö").removeprefix("Basic ")
    assert base64.b64decode(shown).decode() == "pröng:s:ö"


@pytest.mark.parametrize(("principal", "secret"), [(None, None), ("p", None), (None, "old")])
def test_half_of_one_shows_nothing(principal: str | None, secret: str | None) -> None:
    assert Credential(principal, secret).authorizations() == (None,)


def test_the_secret_of_before_is_shown_until_it_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("old")
    credential = Credential("p", path.read_text)
    assert credential.authorizations() == (OLD,)
    credential.accepted(OLD)
    path.write_text("new")
    assert credential.authorizations() == (OLD, NEW)
    credential.accepted(NEW)
    assert credential.authorizations() == (NEW, OLD)  # which others may still want
    path.write_text("newer")
    assert credential.authorizations() == (NEW, OLD, NEWER)
    credential.accepted(NEWER)
    assert credential.authorizations() == (NEWER, NEW)
    credential.accepted(NEW)
    assert credential.authorizations() == (NEW, NEWER)


def test_a_secret_that_nobody_has_accepted_is_forgotten_with_the_next(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("old")
    credential = Credential("p", path.read_text)
    assert credential.authorizations() == (OLD,)
    path.write_text("new")
    assert credential.authorizations() == (NEW,)


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_one_that_cannot_be_read_leaves_what_was_known(
    tmp_path: Path, content: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "secret"
    path.write_text("old")
    credential = Credential("p", path.read_text)
    assert credential.authorizations() == (OLD,)
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    assert credential.authorizations() == (OLD,)
    assert "The secret of p can't be read" in caplog.text
    assert "old" not in caplog.text
