"""Finds a running scheduler and speaks to it."""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import httpx2

from mesos_docker_scheduler.cli.options import CA_VARIABLE, URL_VARIABLE, Given
from mesos_docker_scheduler.exits import PROGRAM, REFUSED, UNREACHABLE, ExitError

CONFIG = Path("/etc/mesos-docker-scheduler/config.json")

_DEFAULT_URL = "http://127.0.0.1:8090"
_SECONDS = 15.0
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104


class NoAnswerError(ExitError):
    """Nobody is there, or can answer now."""


Message = dict[str, Any]
Parameter = str | int | bool | None


@dataclass(frozen=True, slots=True)
class Target:
    """Where the scheduler is, and the file of the token.

    `ca_file`: who vouches for its certificate; None: whom the system trusts. `certificate`: on this host, the
    file with the very one that it must show. `leader_ca_file`: who vouches for that of another scheduler that
    leads, if it is not the same.
    """

    url: str
    token_file: Path | None
    ca_file: Path | None = None
    certificate: Path | None = None
    leader_ca_file: Path | None = None


def target(given: Given, config: Path = CONFIG) -> Target:
    """What was given, or else what the configuration file on this host says."""
    if given.url is not None:
        # A token goes only where it belongs: that of the file stays here.
        return Target(given.url.rstrip("/"), given.token_file, given.ca_file)
    try:
        read: Message = json.loads(config.read_bytes())
    except (OSError, ValueError):
        read = {}
    http: Message = read.get("http") or {}
    authority = (read.get("tls") or {}).get("ca_file")
    bind, tls = http.get("bind", "127.0.0.1"), http.get("tls")
    host = _ANY_ADDRESS.get(bind, f"[{bind}]" if ":" in bind else bind)
    scheme = "https" if tls else "http"
    url = f"{scheme}://{host}:{http['port']}" if "port" in http else _DEFAULT_URL
    token_file = given.token_file or (Path(http["token_file"]) if http.get("token_file") else None)
    if tls and given.ca_file is None:
        leader_ca_file = Path(authority) if authority else None
        return Target(url, token_file, certificate=Path(tls["cert_file"]), leader_ca_file=leader_ca_file)
    return Target(url, token_file, given.ca_file)


def _trust(found: Target) -> ssl.SSLContext | bool:
    """Which certificates are right. OSError or ValueError: the file can't be used."""
    if found.certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        # The address is one of this host's, and need not stand in it. But nobody else has its key.
        context.check_hostname = False
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        first = _CERTIFICATE.search(found.certificate.read_text(encoding="ascii", errors="ignore"))
        context.load_verify_locations(cadata=first[0] if first is not None else "")
        return context
    if found.ca_file is not None:
        context = ssl.create_default_context(cafile=found.ca_file)
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # as driver.tls
        return context
    return True


def _trusted(found: Target) -> ssl.SSLContext | bool:
    try:
        return _trust(found)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it holds no certificate in PEM"
        file = found.certificate or found.ca_file
        raise ExitError(UNREACHABLE, f"the certificate in {file} can't be used: {reason}") from error


class Api:
    """A running scheduler's API. Every method may raise ExitError.

    `seconds`: how long it may take to answer.
    """

    def __init__(self, found: Target, seconds: float = _SECONDS) -> None:
        self._url = found.url
        self._token_problem = ""
        headers = {}
        if found.token_file is not None:
            try:
                headers["Authorization"] = f"Bearer {found.token_file.read_text().strip()}"
            except (OSError, UnicodeDecodeError) as error:
                reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
                self._token_problem = f" (the token in {found.token_file} can't be read: {reason})"
        trusted = _trusted(found)
        self._headers, self._trusted = headers, trusted
        self._right = f"the one in {found.certificate}" if found.certificate else "one of a known authority"
        self._seconds = seconds
        self._leader_ca_file = found.leader_ca_file
        self._client = self._client_of(found.url, headers, trusted)
        self._first = self._url, self._right, self._client

    @classmethod
    def at(cls, given: Given) -> Api:
        """Find the scheduler."""
        return cls(target(given))

    def get(self, path: str, **parameters: Parameter) -> Message:
        """Read something."""
        return self._ask("GET", path, params=_given(parameters))

    def post(self, path: str, body: Message | None = None, revision: str = "") -> Message:
        """Change something; `revision`: that of the service, as it was seen, or * for any."""
        headers = {"If-Match": revision if revision == "*" else f'"{revision}"'} if revision else {}
        return self._ask("POST", path, json=body or {}, headers=headers)

    def go_back(self) -> None:
        """Ask the one again that was asked first: it knows who leads now."""
        first = self._first[-1]
        if self._client is not first:
            self._client.close()
        self._url, self._right, self._client = self._first

    def stream(self, path: str, **parameters: Parameter) -> Iterator[Message]:
        """The messages of a stream of events, until it ends."""
        try:
            with self._client.stream("GET", path, params=_given(parameters), timeout=60.0) as answer:
                if answer.status_code != 200:
                    answer.read()
                    raise self._refusal(answer)
                for line in answer.iter_lines():
                    if line.startswith("data: "):
                        yield json.loads(line.removeprefix("data: "))
        except httpx2.HTTPError as error:
            raise self._unreachable(error) from error

    def service(self, name: str) -> Message:
        """One service."""
        return self.get(f"/v1/services/{name}")

    def instances(self, service: str, *states: str) -> list[str]:
        """The ids of its instances that are in one of these states."""
        instances: list[Message] = self.get(f"/v1/services/{service}/instances")["instances"]
        return [one["task_id"] for one in instances if one["state"] in states]

    def _ask(self, method: str, path: str, **more: Any) -> Message:
        try:
            answer = self._client.request(method, path, **more)
            if answer.status_code == 307:
                self.go_to(answer.headers.get("location", ""))
                answer = self._client.request(method, path, **more)
        except httpx2.HTTPError as error:
            raise self._unreachable(error) from error
        if answer.status_code >= 300:
            raise self._refusal(answer)
        try:
            body: Message = answer.json()
        except ValueError as error:
            raise ExitError(UNREACHABLE, f"{self._url} is no scheduler: its answer is not JSON") from error
        return body

    def _client_of(self, url: str, headers: dict[str, str], trusted: ssl.SSLContext | bool) -> httpx2.Client:
        return httpx2.Client(
            base_url=url,
            headers=headers,
            timeout=self._seconds,
            trust_env=False,
            follow_redirects=False,
            verify=trusted,
        )

    def go_to(self, url_of_leader: str) -> None:
        """From now on ask the scheduler that the one we have asked names as the leader."""
        leader = httpx2.URL(url_of_leader)
        url = f"{leader.scheme}://{leader.netloc.decode()}"
        if leader.scheme != "https" and self._url.startswith("https:"):
            raise ExitError(REFUSED, f"{self._url} does not lead, and who does speaks no TLS: {url}")
        trusted = self._trusted
        if self._leader_ca_file is not None:
            trusted = _trusted(Target(url, None, self._leader_ca_file))
        self.go_back()
        self._url, self._right = url, "one of a known authority"
        self._client = self._client_of(url, self._headers, trusted)

    def _unreachable(self, error: Exception) -> NoAnswerError:
        wrong = _certificate_problem(error)
        if wrong is not None:
            return NoAnswerError(
                UNREACHABLE,
                f"{self._url} does not show the right certificate, {self._right}: {wrong}."
                f" Who vouches for it: --ca-file, or {CA_VARIABLE}",
            )
        text = f"no scheduler answers at {self._url}: {str(error) or type(error).__name__}"
        if self._url.startswith("http:") and isinstance(error, httpx2.ReadError | httpx2.RemoteProtocolError):
            text += " (it may speak https)"
        return NoAnswerError(
            UNREACHABLE, f"{text}. Is it running there? Another address: --url, or {URL_VARIABLE}"
        )

    def _refusal(self, answer: httpx2.Response) -> ExitError:
        try:
            text = str(answer.json()["error"])
        except (ValueError, LookupError, TypeError):
            text = f"HTTP {answer.status_code} from {self._url}"
        if answer.status_code in (429, 503):
            return NoAnswerError(REFUSED, text)
        if answer.status_code in (401, 403):
            return ExitError(UNREACHABLE, f"{text}{self._token_problem}")
        return ExitError(REFUSED, text)


def _certificate_problem(error: BaseException | None) -> str | None:
    """What is wrong with the certificate that was shown; None if it is not that."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error.verify_message
        error = error.__cause__ or error.__context__
    return None


def _given(parameters: dict[str, Parameter]) -> dict[str, Parameter]:
    return {name: value for name, value in parameters.items() if value is not None}


def complete_service(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """The names of services that begin like this, for the shell."""
    try:
        services = Api(target(Given.by_environment()), seconds=0.5).get("/v1/services")["services"]
    except (ExitError, LookupError):
        return []
    return [one["name"] for one in services if one["name"].startswith(incomplete)]


def program(*words: str) -> str:
    """A command line to show to people."""
    return " ".join((PROGRAM, *words))
