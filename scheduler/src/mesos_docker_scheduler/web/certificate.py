"""The certificate that the web server shows: read from its files, and again when they change.

A new one is for new connections; those that are open keep the one that they began with.
"""

from __future__ import annotations

import logging
import ssl
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from mesos_docker_scheduler.errors import Error
from mesos_docker_scheduler.files import identity
from mesos_docker_scheduler.observability import journal
from mesos_docker_scheduler.wording import clock

logger = logging.getLogger(__name__)

# openssl/x509_vfy.h; Python has no name for it. When it ends is for us to judge.
_NO_CHECK_TIME = 0x200000


class CertificateError(Error):
    """Why a certificate can't be shown: the setting, its file, and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A certificate with its key, and the seconds of the epoch between which it is valid."""

    context: ssl.SSLContext
    begins_at: float
    ends_at: float


class Certificate:
    """The certificate of `http.tls`. CertificateError when its files are no good.

    One that has ended is shown all the same, with an error in the log: containers must be looked after, and a
    renewed one is taken over at once.
    """

    def __init__(self, cert_file: str, key_file: str) -> None:
        self._files = (Path(cert_file), Path(key_file))
        self._seen = self._before = [identity(file) for file in self._files]
        self._loaded = _load(*self._files)
        if problem := self._time_problem(self._loaded):
            logger.error("%s", journal.line("certificate", text=problem))
        self.context = _server_context()
        # Each handshake takes the newest. A context in use could be left with half of what is loaded into it.
        self.context.sni_callback = self._choose

    @property
    def ends_at(self) -> float:
        """When the certificate ends, in seconds of the epoch."""
        return self._loaded.ends_at

    def look(self, *, asked: bool = False) -> None:
        """Take over what the files hold, if they have changed and rested since the last look, or if `asked`.

        What is no good is told in one line, and what is shown stays. Any thread may call this.
        """
        found = [identity(file) for file in self._files]
        # Certificate and key are two files: who writes them needs a moment.
        rested, self._before = found == self._before, found
        if not asked and (found == self._seen or not rested):
            return
        self._seen = found
        try:
            new = _load(*self._files)
            if problem := self._time_problem(new):
                raise CertificateError(problem)
        except CertificateError as error:
            logger.error("%s", journal.line("certificate", text=f"the one before stays: {error}"))
            return
        self._loaded = new
        text = f"{self._files[0]} is shown from now on; it is valid until {clock(new.ends_at)}"
        logger.info("%s", journal.line("certificate", text=text))

    def _choose(self, handshake: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        handshake.context = self._loaded.context

    def _time_problem(self, loaded: _Loaded) -> str | None:
        now = time.time()
        if now >= loaded.ends_at:
            return f"http.tls.cert_file: {self._files[0]} has ended, on {clock(loaded.ends_at)}"
        if now < loaded.begins_at:
            return f"http.tls.cert_file: {self._files[0]} is not valid before {clock(loaded.begins_at)}"
        return None


def _server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    return context


def _load(cert_file: Path, key_file: Path) -> _Loaded:
    certificate = f"http.tls.cert_file: {cert_file}"
    key = f"http.tls.key_file: {key_file}"
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | _NO_CHECK_TIME
    try:
        client.load_verify_locations(cadata=_text(cert_file, certificate))
    except (ssl.SSLError, ValueError):  # ValueError: it is empty
        raise CertificateError(f"{certificate} holds no certificate in PEM") from None
    _text(key_file, key)

    def no_password() -> NoReturn:
        raise CertificateError(f"{key} is encrypted; it must not be, as nobody is there to type a password")

    context = _server_context()
    try:
        context.load_cert_chain(cert_file, key_file, no_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise CertificateError(f"{key} is not the key of {cert_file}") from None
        raise CertificateError(f"{key} holds no private key in PEM that can be used") from None
    except OSError as error:  # one of them has gone meanwhile
        raise CertificateError(f"{error.filename or key} can't be read: {error.strerror}") from error
    return _Loaded(context, *_validity(context, client, certificate))


def _validity(server: ssl.SSLContext, client: ssl.SSLContext, certificate: str) -> tuple[float, float]:
    """Shake hands with ourselves, as clients will; returns from when to when the certificate is valid."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = (
        client.wrap_bio(to_client, to_server),
        server.wrap_bio(to_server, to_client, server_side=True),
    )
    waiting = list(sides)
    while waiting:
        for side in list(waiting):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLCertVerificationError as error:
                raise CertificateError(f"{certificate} can't be used: {error.verify_message}") from None
            except ssl.SSLError as error:
                raise CertificateError(f"{certificate} can't be used: {error.reason}") from None
            waiting.remove(side)
    shown = sides[0].getpeercert() or {}
    return (
        float(ssl.cert_time_to_seconds(str(shown["notBefore"]))),
        float(ssl.cert_time_to_seconds(str(shown["notAfter"]))),
    )


def _text(path: Path, setting: str) -> str:
    try:
        return path.read_text(encoding="ascii", errors="ignore")
    except OSError as error:
        raise CertificateError(f"{setting} can't be read: {error.strerror}") from error
