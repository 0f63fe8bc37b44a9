"""TLS towards the masters."""

from __future__ import annotations

import ssl
from dataclasses import dataclass


@dataclass(frozen=True)
class TlsSettings:
    """How to speak TLS. Paths of PEM files; without `ca_file` the system's authorities are trusted.

    `cert_file` (and `key_file`, when the key is not in it) is our own, for masters that ask for one.
    Those check it against this host's name, unless LIBPROCESS_SSL_HOSTNAME_VALIDATION_SCHEME is `openssl`.
    `verify` False accepts any certificate.
    """

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    verify: bool = True

    def context(self) -> ssl.SSLContext:
        """Read the files. ValueError names the one that can't be used."""
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except OSError as error:
            raise ValueError(f"tls.ca_file: {self.ca_file!r} can't be used: {error}") from error
        # Python 3.13 began to refuse certificates that RFC 5280 frowns upon and that OpenSSL, and with it
        # Mesos, accepts. What is good for the master must be good on every Python.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.cert_file is not None:
            try:
                context.load_cert_chain(self.cert_file, self.key_file)
            except OSError as error:
                files = f"{self.cert_file!r}, tls.key_file: {self.key_file!r}"
                raise ValueError(f"tls.cert_file: {files} can't be used: {error}") from error
        elif self.key_file is not None:
            raise ValueError(f"tls.key_file: {self.key_file!r} is given without tls.cert_file")
        return context
