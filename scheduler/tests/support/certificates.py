"""Certificates for tests of TLS."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier
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


def server_context(certificates: Path) -> ssl.SSLContext:
    """Return the server's side of them, which wants to see the client's."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(certificates / "ca.pem"))
    context.load_cert_chain(certificates / "master.pem", certificates / "master.key")
    context.verify_mode = ssl.CERT_REQUIRED
    return context


class SelfSigned:
    """A certificate for 127.0.0.1 that vouches for itself, and its key: `cert_file` and `key_file`.

    `begins`, `ends`: in days from now. `usages`: what it may be used for.
    """

    def __init__(
        self,
        folder: Path,
        name: str = "face",
        *,
        begins: float = -1,
        ends: float = 2,
        usages: Iterable[ObjectIdentifier] = (ExtendedKeyUsageOID.SERVER_AUTH,),
    ) -> None:
        self.cert_file, self.key_file = folder / f"{name}.pem", folder / f"{name}.key"
        key = ec.generate_private_key(ec.SECP256R1())
        who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        today = datetime.datetime.now(datetime.timezone.utc)
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(who)
            .issuer_name(who)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(today + datetime.timedelta(days=begins))
            .not_valid_after(today + datetime.timedelta(days=ends))
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
            )
            .add_extension(x509.ExtendedKeyUsage(usages), False)
            .sign(key, hashes.SHA256())
        )
        self.cert_file.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))
        self.key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        self._key = key

    def encrypt_key(self) -> None:
        """Have the key's file want a password."""
        self.key_file.write_bytes(
            self._key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.BestAvailableEncryption(b"secret"),
            )
        )

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the certificate, in hexadecimal."""
        return self.certificate.fingerprint(hashes.SHA256()).hex()

    def put(self, other: SelfSigned) -> None:
        """Have our files hold what another's do, each replaced as a whole."""
        for ours, theirs in ((self.cert_file, other.cert_file), (self.key_file, other.key_file)):
            new = ours.with_suffix(".new")
            new.write_bytes(theirs.read_bytes())
            new.replace(ours)
