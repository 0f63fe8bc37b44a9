"""A cluster's authority in the hands of a test: certificates that the roles would never sign."""

from __future__ import annotations

import base64
import datetime
import ipaddress
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

CERTIFICATE = "/etc/mesos-tls/cert.pem"


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def new_key() -> tuple[ec.EllipticCurvePrivateKey, str]:
    """Return a key, and its PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


class Authority:
    """The authority of a security folder: `ca.pem` and `ca.key`."""

    def __init__(self, folder: Path) -> None:
        self.pem = (folder / "ca.pem").read_text()
        self._certificate = x509.load_pem_x509_certificate(self.pem.encode())
        key = load_pem_private_key((folder / "ca.key").read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        self._key = key

    @classmethod
    def new(cls, folder: Path, common_name: str = "authority") -> Authority:
        """Make one, and write its files."""
        folder.mkdir(exist_ok=True)
        key, pem = new_key()
        (folder / "ca.key").write_text(pem)
        now = datetime.datetime.now(datetime.timezone.utc)
        certificate = (
            x509.CertificateBuilder(_name(common_name), _name(common_name), key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=3650))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        (folder / "ca.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
        return cls(folder)

    def sign(
        self,
        public_key: ec.EllipticCurvePublicKey,
        addresses: Iterable[str],
        *,
        begins: float = -1,
        ends: float = 397,
    ) -> str:
        """Return the PEM of a certificate for these addresses; it begins and ends that many days from now."""
        names = [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
        base = x509.CertificateBuilder(subject_name=_name("host"), public_key=public_key)
        if names:
            base = base.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return self._sign(base, begins, ends)

    def sign_again(self, pem: str, *, begins: float = -1, ends: float = 397) -> str:
        """Return the PEM of a certificate that says the same as that one, from us and of another time."""
        before = x509.load_pem_x509_certificate(pem.encode())
        base = x509.CertificateBuilder(subject_name=before.subject, public_key=before.public_key())
        for extension in before.extensions:
            if not isinstance(extension.value, x509.AuthorityKeyIdentifier):
                base = base.add_extension(extension.value, extension.critical)
        return self._sign(base, begins, ends)

    def certify(self, host: Any, *, begins: float = -1, ends: float = 397) -> None:
        """Give testinfra's host a certificate that says the same as its own, from us and of another time."""
        pem = self.sign_again(host.file(CERTIFICATE).content_string, begins=begins, ends=ends)
        host.check_output(f"echo {base64.b64encode(pem.encode()).decode()} | base64 --decode > {CERTIFICATE}")

    def _sign(self, base: x509.CertificateBuilder, begins: float, ends: float) -> str:
        now = datetime.datetime.now(datetime.timezone.utc)
        certificate = (
            base.issuer_name(self._certificate.subject)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + datetime.timedelta(days=begins))
            .not_valid_after(now + datetime.timedelta(days=ends))
            .sign(self._key, hashes.SHA256())
        )
        return certificate.public_bytes(Encoding.PEM).decode()
