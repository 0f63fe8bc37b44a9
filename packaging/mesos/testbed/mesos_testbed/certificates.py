"""Certificates for daemons that speak TLS."""

from __future__ import annotations

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Certificates:
    """Files in PEM: a key, its certificate, which all parties show, and the authority that all trust."""

    key: Path
    certificate: Path
    authority: Path

    @classmethod
    def make(cls, folder: Path) -> Certificates:
        """Make them for 127.0.0.1 and localhost, in a folder that is not there yet."""
        folder.mkdir()

        def openssl(words: str) -> None:
            subprocess.run(["openssl", *words.split()], cwd=folder, check=True, capture_output=True)

        # Key usages and key identifiers, because Python 3.13 insists on them.
        new_key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
        usage = "-addext keyUsage=critical,keyCertSign,cRLSign"
        openssl(f"req -x509 {new_key} {usage} -days 2 -subj /CN=authority -keyout ca.key -out ca.pem")
        openssl(f"req {new_key} -subj /CN=localhost -keyout key.pem -out request.pem")
        (folder / "extensions").write_text(
            "subjectAltName=DNS:localhost,IP:127.0.0.1\nauthorityKeyIdentifier=keyid\nsubjectKeyIdentifier=hash\n"
        )
        openssl(
            "x509 -req -days 2 -in request.pem -CA ca.pem -CAkey ca.key -extfile extensions -out cert.pem"
        )
        openssl("verify -x509_strict -CAfile ca.pem cert.pem")
        return cls(folder / "key.pem", folder / "cert.pem", folder / "ca.pem")

    def environment(self) -> dict[str, str]:
        """Return the variables with which Mesos speaks TLS 1.3 alone, and only to who shows a certificate."""
        settings = {
            "ENABLED": "true",
            "SUPPORT_DOWNGRADE": "false",
            "KEY_FILE": str(self.key),
            "CERT_FILE": str(self.certificate),
            "CA_FILE": str(self.authority),
            "VERIFY_SERVER_CERT": "true",
            "REQUIRE_CLIENT_CERT": "true",
            "ENABLE_TLS_V1_2": "false",
            "ENABLE_TLS_V1_3": "true",
        }
        return {f"LIBPROCESS_SSL_{name}": value for name, value in settings.items()}

    def context(self, *, certificate: bool = True) -> ssl.SSLContext:
        """Return how to speak TLS with such daemons, with the certificate or without any."""
        context = ssl.create_default_context(cafile=self.authority)
        if certificate:
            context.load_cert_chain(self.certificate, self.key)
        return context
