"""Certificates for tests of TLS."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from mesos_docker_scheduler.driver import TlsSettings


def openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def make_certificates(folder: Path) -> None:
    """Make an authority, a certificate for a master on 127.0.0.1 and one for a client on localhost."""
    openssl(
        "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
        "-subj", "/CN=authority", "-keyout", folder / "ca.key", "-out", folder / "ca.pem",
    )  # fmt: skip
    for name, extension in (
        ("master", "subjectAltName=IP:127.0.0.1"),
        ("client", "subjectAltName=DNS:localhost"),
    ):
        (folder / "extensions").write_text(extension)
        openssl(
            "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
            "-keyout", folder / f"{name}.key", "-out", folder / "request",
        )  # fmt: skip
        openssl(
            "x509", "-req", "-in", folder / "request", "-CA", folder / "ca.pem", "-CAkey", folder / "ca.key",
            "-days", "2", "-extfile", folder / "extensions", "-out", folder / f"{name}.pem",
        )  # fmt: skip


def tls_settings(certificates: Path, **changes: Any) -> TlsSettings:
    """Return the client's side of them."""
    settings = {
        "ca_file": str(certificates / "ca.pem"),
        "cert_file": str(certificates / "client.pem"),
        "key_file": str(certificates / "client.key"),
    }
    return TlsSettings(**{**settings, **changes})
