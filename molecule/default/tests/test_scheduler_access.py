"""Who is let in to the scheduler's page and API, what is written down of it, and a renewed certificate."""

from __future__ import annotations

import contextlib
import http.client
import json
import shlex
import ssl
import subprocess
from typing import Any

import pytest
from lab_cluster import SCHEDULER_PORT, Cluster, SecurityFolder, eventually

HOST = "lab-single"
PROGRAM = "mesos-docker-scheduler"
CERTIFICATE = "/etc/mesos-tls/cert.pem"


@pytest.fixture
def face(cluster: Cluster, security: SecurityFolder) -> http.client.HTTPSConnection:
    """A connection that trusts the cluster's authority, and shows no certificate."""
    context = security.context(certificate=False)
    return http.client.HTTPSConnection(cluster.address(HOST), SCHEDULER_PORT, timeout=10, context=context)


def ask(face: http.client.HTTPConnection, method: str, path: str, token: str = "") -> int:
    """Return the status of the answer."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    body = json.dumps({}) if method == "POST" else None
    face.request(method, path, body, {"If-Match": "*", "Content-Type": "application/json", **headers})
    answer = face.getresponse()
    answer.read()
    return answer.status


def journal(host: Any) -> str:
    """Return the trail."""
    return str(host.check_output(f"journalctl --no-pager --output=cat --unit={PROGRAM} --grep='^audit '"))


def sign(request: str, security: SecurityFolder) -> str:
    """Return a certificate of the cluster's authority for what is asked for."""
    command = ["openssl", "x509", "-req", "-days", "2", "-copy_extensions", "copy"]
    command += ["-CA", str(security.path / "ca.pem"), "-CAkey", str(security.path / "ca.key")]
    return subprocess.run(command, input=request, check=True, capture_output=True, text=True).stdout


def test_nobody_reads_without_a_token(face: http.client.HTTPSConnection, cluster: Cluster) -> None:
    for path in ("/v1/status", "/metrics", "/v1/events"):
        assert ask(face, "GET", path) == 401
    assert ask(face, "GET", "/healthz") == 200
    plain = http.client.HTTPConnection(cluster.address(HOST), SCHEDULER_PORT, timeout=10)
    with contextlib.closing(plain), pytest.raises((http.client.HTTPException, OSError)):
        ask(plain, "GET", "/healthz")


def test_a_token_may_what_its_role_says_until_it_is_revoked(
    face: http.client.HTTPSConnection, host: Any
) -> None:
    host.run(f"{PROGRAM} tokens revoke monitoring")  # of a run before this one
    token = host.check_output(f"{PROGRAM} tokens create monitoring --role read").strip()
    assert ask(face, "GET", "/metrics", token) == 200
    assert ask(face, "POST", "/v1/services/web/restart", token) == 403
    assert ask(face, "GET", "/v1/tokens", token) == 403
    listing = host.check_output(f"{PROGRAM} tokens list")
    assert "monitoring" in listing
    host.check_output(f"{PROGRAM} tokens revoke monitoring")
    assert ask(face, "GET", "/metrics", token) == 401
    trail = journal(host)
    assert (
        "audit who=site address=127.0.0.1 method=POST path=/v1/tokens/monitoring/create status=201" in trail
    )
    assert "audit who=monitoring" in trail
    assert "method=POST path=/v1/services/web/restart status=403" in trail
    assert token not in trail + listing
    assert '"monitoring" is revoked (site, from 127.0.0.1)' in host.check_output(f"{PROGRAM} events")


def test_a_renewed_certificate_is_shown_without_a_restart(
    face: http.client.HTTPSConnection, cluster: Cluster, host: Any, security: SecurityFolder
) -> None:
    """The host gets another one of the same authority, as by a renewal."""
    started = host.check_output(f"systemctl show --property=MainPID {PROGRAM}")
    before = ssl.get_server_certificate((cluster.address(HOST), SCHEDULER_PORT))
    request = host.check_output(
        "cd /etc/mesos-tls && openssl x509 -x509toreq -copy_extensions copy -in cert.pem -signkey key.pem"
    )
    renewed = shlex.quote(sign(request, security))
    # The daemons that read it at their start must not look as if a restart were due: its time stays.
    host.check_output(f"cp --preserve {CERTIFICATE} {CERTIFICATE}.kept")
    try:
        assert ask(face, "GET", "/healthz") == 200
        connection = face.sock
        host.check_output(f"echo {renewed} > {CERTIFICATE}.new && mv {CERTIFICATE}.new {CERTIFICATE}")

        # Asked all the time: a connection that rests for five seconds is closed.
        def another_is_shown() -> bool:
            assert ask(face, "GET", "/healthz") == 200
            return ssl.get_server_certificate((cluster.address(HOST), SCHEDULER_PORT)) != before

        eventually("the new certificate is shown", another_is_shown, seconds=15)
        assert ask(face, "GET", "/healthz") == 200
        assert face.sock is connection, "who was connected before stays so"
        host.check_output(f"{PROGRAM} status")
    finally:
        host.check_output(f"mv {CERTIFICATE}.kept {CERTIFICATE}")
    assert host.check_output(f"systemctl show --property=MainPID {PROGRAM}") == started
