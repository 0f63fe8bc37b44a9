"""Finds a running scheduler and speaks to it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import httpx2

from mesos_docker_scheduler.cli.options import URL_VARIABLE
from mesos_docker_scheduler.exits import PROGRAM, REFUSED, UNREACHABLE, ExitError

CONFIG = Path("/etc/mesos-docker-scheduler/config.json")

_DEFAULT_URL = "http://127.0.0.1:8090"
_SECONDS = 15.0
_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104


class NoAnswerError(ExitError):
    """Nobody is there."""


Message = dict[str, Any]
Parameter = str | int | bool | None


@dataclass(frozen=True, slots=True)
class Target:
    """Where the scheduler is, and the file of its token."""

    url: str
    token_file: Path | None


def target(url: str | None, token_file: Path | None, config: Path = CONFIG) -> Target:
    """What was given, or else what the configuration file on this host says."""
    try:
        http: Message = json.loads(config.read_bytes()).get("http") or {}
    except (OSError, ValueError):
        http = {}
    if url is None:
        bind = http.get("bind", "127.0.0.1")
        host = _ANY_ADDRESS.get(bind, f"[{bind}]" if ":" in bind else bind)
        url = f"http://{host}:{http['port']}" if "port" in http else _DEFAULT_URL
        # A token goes only where it belongs.
        token_file = token_file or (Path(http["token_file"]) if http.get("token_file") else None)
    return Target(url.rstrip("/"), token_file)


class Api:
    """A running scheduler's API. Every method may raise ExitError."""

    def __init__(self, found: Target) -> None:
        self._url = found.url
        self._token_problem = ""
        headers = {}
        if found.token_file is not None:
            try:
                headers["Authorization"] = f"Bearer {found.token_file.read_text().strip()}"
            except (OSError, UnicodeDecodeError) as error:
                reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
                self._token_problem = f" (the token in {found.token_file} can't be read: {reason})"
        self._client = httpx2.Client(
            base_url=found.url, headers=headers, timeout=_SECONDS, trust_env=False, follow_redirects=False
        )

    @classmethod
    def at(cls, url: str | None, token_file: Path | None) -> Api:
        """Find the scheduler."""
        return cls(target(url, token_file))

    def get(self, path: str, **parameters: Parameter) -> Message:
        """Read something."""
        return self._ask("GET", path, params=_given(parameters))

    def post(self, path: str, body: Message | None = None, revision: str = "") -> Message:
        """Change something; `revision`: that of the service, as it was seen, or * for any."""
        headers = {"If-Match": revision if revision == "*" else f'"{revision}"'} if revision else {}
        return self._ask("POST", path, json=body or {}, headers=headers)

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

    def _ask(self, method: str, path: str, **more: Any) -> Message:
        try:
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

    def _unreachable(self, error: Exception) -> NoAnswerError:
        text = f"no scheduler answers at {self._url}: {str(error) or type(error).__name__}"
        return NoAnswerError(
            UNREACHABLE, f"{text}. Is it running there? Another address: --url, or {URL_VARIABLE}"
        )

    def _refusal(self, answer: httpx2.Response) -> ExitError:
        try:
            text = str(answer.json()["error"])
        except (ValueError, LookupError, TypeError):
            text = f"HTTP {answer.status_code} from {self._url}"
        if answer.status_code in (401, 403):
            return ExitError(UNREACHABLE, f"{text}{self._token_problem}")
        return ExitError(REFUSED, text)


def _given(parameters: dict[str, Parameter]) -> dict[str, Parameter]:
    return {name: value for name, value in parameters.items() if value is not None}


def complete_service(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """The names of services that begin like this, for the shell."""
    try:
        found = target(os.environ.get(URL_VARIABLE), None)
        services = httpx2.get(f"{found.url}/v1/services", timeout=0.5, trust_env=False).json()["services"]
    except (httpx2.HTTPError, ValueError, LookupError):
        return []
    return [one["name"] for one in services if one["name"].startswith(incomplete)]


def program(*words: str) -> str:
    """A command line to show to people."""
    return " ".join((PROGRAM, *words))
