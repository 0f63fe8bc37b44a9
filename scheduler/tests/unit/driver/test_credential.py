"""What is sent as a principal while its secret is replaced."""

from __future__ import annotations

import base64

import pytest
from mesos_docker_scheduler.driver.credential import Credential, basic_authorization

OLD, NEW, NEWER = (basic_authorization("p", secret) for secret in ("old", "new", "newer"))


def test_is_written_as_rfc_7617_has_it() -> None:
    sent = basic_authorization("pröng", "s:ö").removeprefix("Basic ")
    assert base64.b64decode(sent).decode() == "pröng:s:ö"


def test_the_secret_that_was_accepted_last_is_tried_first_and_then_those_that_are_known_now() -> None:
    secrets = ["old"]
    credential = Credential("p", lambda: secrets)
    assert credential.authorizations() == (OLD,)
    credential.accepted(OLD)
    secrets[:] = ["new", "old"]
    assert credential.authorizations() == (OLD, NEW)
    credential.accepted(NEW)
    assert credential.authorizations() == (NEW, OLD)
    secrets[:] = ["newer", "new"]
    assert credential.authorizations() == (NEW, NEWER)
    secrets[:] = ["newer"]
    assert credential.authorizations() == (NEW, NEWER)
    credential.accepted(NEWER)
    assert credential.authorizations() == (NEWER,)


@pytest.mark.parametrize("error", [OSError("gone"), ValueError("it is empty")])
def test_secrets_that_cannot_be_read_leave_those_that_were_known(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    readable = [True]

    def read() -> list[str]:
        if not readable[0]:
            raise error
        return ["new", "old"]

    credential = Credential("p", read)
    assert credential.authorizations() == (NEW, OLD)
    readable[0] = False
    assert credential.authorizations() == (NEW, OLD)
    assert f"The secret of p can't be read: {error}" in caplog.text
