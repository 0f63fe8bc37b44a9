"""The web server over TLS: which certificate is shown, what is refused, and how a new one is taken over."""

from __future__ import annotations

import hashlib
import http.client
import logging
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from certificates import SelfSigned
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from hand_driven_site import HandDrivenSite
from mesos_docker_scheduler import web
from mesos_docker_scheduler.web import protocol, server
from scheduler_fakes import service


@pytest.fixture
def shown(tmp_path: Path) -> SelfSigned:
    return SelfSigned(tmp_path)


@pytest.fixture
def certificate(shown: SelfSigned) -> web.Certificate:
    return of(shown)


@pytest.fixture
def site(certificate: web.Certificate) -> Iterator[HandDrivenSite]:
    made = HandDrivenSite(service(), certificate=certificate)
    made.start()
    yield made
    made.stop()


def of(files: SelfSigned) -> web.Certificate:
    return web.Certificate(str(files.cert_file), str(files.key_file))


def client(trusted: SelfSigned) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=trusted.cert_file)


def connected(site: HandDrivenSite, context: ssl.SSLContext) -> ssl.SSLSocket:
    plain = socket.create_connection(("127.0.0.1", site.port), timeout=10)
    return context.wrap_socket(plain, server_hostname="127.0.0.1")


def seen(site: HandDrivenSite) -> str:
    """The SHA-256 of the certificate that a new connection is shown."""
    anybody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
    with connected(site, anybody) as connection:
        return hashlib.sha256(connection.getpeercert(binary_form=True) or b"").hexdigest()


def test_speaks_tls_1_3_and_no_plain_http(site: HandDrivenSite, shown: SelfSigned) -> None:
    with connected(site, client(shown)) as connection:
        assert connection.version() == "TLSv1.3"
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 200 OK")
    with socket.create_connection(("127.0.0.1", site.port), timeout=10) as plain:
        plain.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert b"HTTP" not in plain.recv(100)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_speaks_tls_1_2_and_nothing_older(site: HandDrivenSite, shown: SelfSigned) -> None:
    older = client(shown)
    older.maximum_version = ssl.TLSVersion.TLSv1_2
    with connected(site, older) as connection:
        assert connection.version() == "TLSv1.2"
    older.minimum_version = older.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError):
        connected(site, older)


def test_an_open_connection_lives_through_a_new_certificate(
    site: HandDrivenSite, certificate: web.Certificate, shown: SelfSigned, tmp_path: Path
) -> None:
    new = SelfSigned(tmp_path, "new", ends=9)
    connection = http.client.HTTPSConnection("127.0.0.1", site.port, context=client(shown), timeout=10)
    connection.request("GET", "/v1/services")
    assert connection.getresponse().read()
    before, socket_before = seen(site), connection.sock
    shown.put(new)
    certificate.look()  # the files may still be being written
    assert seen(site) == before
    certificate.look()
    assert seen(site) == new.fingerprint != before
    assert certificate.ends_at == pytest.approx(time.time() + 9 * 86_400, abs=60)
    connection.request("GET", "/v1/services")
    assert connection.getresponse().status == 200
    assert connection.sock is socket_before
    connection.close()


def test_files_are_read_at_once_when_that_is_asked_for(
    site: HandDrivenSite, certificate: web.Certificate, shown: SelfSigned, tmp_path: Path
) -> None:
    new = SelfSigned(tmp_path, "new")
    shown.put(new)
    certificate.look(asked=True)
    assert seen(site) == new.fingerprint


def missing(files: SelfSigned) -> None:
    files.cert_file.unlink()


def without_a_key(files: SelfSigned) -> None:
    files.key_file.unlink()


def no_certificate(files: SelfSigned) -> None:
    files.cert_file.write_text("hello")


def an_empty_certificate(files: SelfSigned) -> None:
    files.cert_file.write_text("")


def not_as_pem(files: SelfSigned) -> None:
    files.cert_file.write_bytes(files.certificate.public_bytes(Encoding.DER))


def no_key(files: SelfSigned) -> None:
    files.key_file.write_text("hello")


def another_key(files: SelfSigned) -> None:
    files.key_file.write_bytes(SelfSigned(files.key_file.parent, "other").key_file.read_bytes())


def an_encrypted_key(files: SelfSigned) -> None:
    files.encrypt_key()


def for_clients_only(files: SelfSigned) -> None:
    folder = files.key_file.parent
    files.put(SelfSigned(folder, "client", usages=[ExtendedKeyUsageOID.CLIENT_AUTH]))


BAD = [
    (missing, r"http.tls.cert_file: .*face.pem can't be read: No such file or directory"),
    (without_a_key, r"http.tls.key_file: .*face.key can't be read: No such file or directory"),
    (no_certificate, r"http.tls.cert_file: .*face.pem holds no certificate in PEM"),
    (an_empty_certificate, r"http.tls.cert_file: .*face.pem holds no certificate in PEM"),
    (not_as_pem, r"http.tls.cert_file: .*face.pem holds no certificate in PEM"),
    (no_key, r"http.tls.key_file: .*face.key holds no private key in PEM that can be used"),
    (another_key, r"http.tls.key_file: .*face.key is not the key of .*face.pem"),
    (an_encrypted_key, r"http.tls.key_file: .*face.key is encrypted; it must not be"),
    (for_clients_only, r"http.tls.cert_file: .*face.pem can't be used: unsuitable certificate purpose"),
]


@pytest.mark.parametrize(("spoil", "words"), BAD)
def test_files_that_are_no_good_are_told_at_the_start(
    shown: SelfSigned, spoil: Callable[[SelfSigned], None], words: str
) -> None:
    spoil(shown)
    with pytest.raises(web.CertificateError, match=words):
        of(shown)


def ended(files: SelfSigned) -> None:
    files.put(SelfSigned(files.key_file.parent, "old", begins=-9, ends=-1))


def not_yet_valid(files: SelfSigned) -> None:
    files.put(SelfSigned(files.key_file.parent, "early", begins=1))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [*BAD, (ended, "face.pem has ended, on 2"), (not_yet_valid, "face.pem is not valid before 2")],
)
def test_new_files_that_are_no_good_leave_the_old_certificate_and_one_line(
    site: HandDrivenSite,
    certificate: web.Certificate,
    shown: SelfSigned,
    caplog: pytest.LogCaptureFixture,
    spoil: Callable[[SelfSigned], None],
    words: str,
) -> None:
    before = seen(site)
    spoil(shown)
    for _ in range(5):
        certificate.look()
    assert seen(site) == before
    (line,) = caplog.messages
    assert line.startswith('certificate text="the one before stays: http.tls.')
    assert "\n" not in line
    caplog.clear()
    shown.put(SelfSigned(shown.key_file.parent, "good"))
    certificate.look(asked=True)
    assert seen(site) != before


def test_one_that_has_ended_is_shown_and_told_until_it_is_renewed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    old = SelfSigned(tmp_path, begins=-9, ends=-1)
    certificate = of(old)
    assert "has ended, on" in caplog.text
    assert caplog.records[0].levelno == logging.ERROR
    assert certificate.ends_at < time.time()
    old.put(SelfSigned(tmp_path, "new"))
    certificate.look(asked=True)
    assert certificate.ends_at > time.time()


def test_who_does_not_begin_to_speak_tls_is_let_go(
    certificate: web.Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "ARRIVAL_SECONDS", 0.2)
    assert protocol.ARRIVAL_SECONDS > 1
    site = HandDrivenSite(service(), certificate=certificate)
    site.start()
    with socket.create_connection(("127.0.0.1", site.port), timeout=10) as silent:
        begun = time.monotonic()
        assert silent.recv(1) == b""
        assert time.monotonic() - begun < 5
    site.stop()
