"""Reads what instances have written, out of their sandboxes on the slaves (docs/sandbox.md of Mesos)."""

from __future__ import annotations

import codecs
import json
from collections.abc import Generator
from dataclasses import dataclass
from typing import Literal

import httpx2

from mesos_docker_scheduler.driver import Credential, TlsSettings
from mesos_docker_scheduler.errors import Error

File = Literal["stdout", "stderr"]
MOST_BYTES = 64 * 1024

_SECONDS = 10.0


class SandboxError(Error):
    """The output can't be read; `missing`: there is none (yet, or any more)."""

    def __init__(self, message: str, *, missing: bool = False) -> None:
        super().__init__(message)
        self.missing = missing


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a file: its text, and the bytes from `offset` to `end` that it stands for."""

    data: str
    offset: int
    end: int


class _SecretsInTurn(httpx2.Auth):
    """Tries each secret that a slave may know, until one is not refused."""

    def __init__(self, credential: Credential) -> None:
        self._credential = credential

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        for authorization in self._credential.authorizations():
            request.headers["Authorization"] = authorization
            response = yield request
            if response.status_code == httpx2.codes.OK:
                self._credential.accepted(authorization)
            if response.status_code != httpx2.codes.UNAUTHORIZED:
                return


class Sandboxes:
    """The slaves' files, as one framework may see them.

    `credential`: for slaves that demand one. Only those that have shown over TLS who they are get to see it:
    without, anybody may have said that he is a slave.
    """

    def __init__(self, tls: TlsSettings | None = None, credential: Credential | None = None) -> None:
        self._tls = tls
        self._auth = _SecretsInTurn(credential) if credential is not None else None

    async def read(
        self, agent_url: str, framework_id: str, task_id: str, file: File, offset: int | None, length: int
    ) -> Part:
        """Read at most `length` bytes from an offset on, or the last ones when it is None. SandboxError.

        When the file was rotated since, this is the rest of the one before; then comes the new one, from 0.
        """
        path = f"/frameworks/{framework_id}/executors/{task_id}/runs/latest/{file}"
        if self._tls is not None and agent_url.startswith("http:"):
            # Mesos' masters say so of all agents (Master::offer), whatever these speak.
            agent_url = "https:" + agent_url.removeprefix("http:")
        secured = agent_url.startswith("https:")
        verify = self._tls.context() if self._tls is not None else True
        async with httpx2.AsyncClient(
            base_url=agent_url,
            verify=verify,
            auth=self._auth if secured else None,
            timeout=_SECONDS,
            trust_env=False,
        ) as client:
            if offset is None:
                size, _ = await self._ask(client, path, -1, 0)
                offset = max(0, size - length)
            _, raw = await self._ask(client, path, offset, length)
            if not raw and offset > 0 and (await self._ask(client, path, -1, 0))[0] < offset:
                raw = await self._rest_of_the_older(client, path, offset, length)
                if not raw:
                    offset = 0
                    _, raw = await self._ask(client, path, offset, length)
        return part_of(raw, offset)

    async def _rest_of_the_older(
        self, client: httpx2.AsyncClient, path: str, offset: int, length: int
    ) -> bytes:
        try:
            return (await self._ask(client, f"{path}.1", offset, length))[1]
        except SandboxError as error:
            if error.missing:  # only one file is kept
                return b""
            raise

    async def _ask(
        self, client: httpx2.AsyncClient, path: str, offset: int, length: int
    ) -> tuple[int, bytes]:
        """The offset and the bytes that a slave answers with."""
        try:
            answer = await client.get(
                "/files/read", params={"path": path, "offset": offset, "length": length}
            )
        except (httpx2.HTTPError, OSError) as error:
            raise SandboxError(f"the slave at {client.base_url} does not answer: {error!r}") from error
        if answer.status_code == 404:
            raise SandboxError("there is no such output on the slave (yet, or any more)", missing=True)
        if answer.status_code != 200:
            raise SandboxError(f"the slave at {client.base_url} answers with HTTP {answer.status_code}")
        try:
            # Mesos writes the file's bytes as they are between the quotes, whatever they are.
            body = json.loads(answer.content.decode("utf-8", "surrogateescape"), strict=False)
            return int(body["offset"]), str(body["data"]).encode("utf-8", "surrogateescape")
        except (ValueError, LookupError, TypeError) as error:
            raise SandboxError(f"what the slave answers is not understood: {error!r}") from error


def part_of(raw: bytes, offset: int) -> Part:
    """The text of some bytes; a character that is not whole yet is left for the next part."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    text = decoder.decode(raw)
    left = len(decoder.getstate()[0])
    if left == len(raw):  # or nobody would ever get past it
        return Part(raw.decode("utf-8", "replace"), offset, offset + len(raw))
    return Part(text, offset, offset + len(raw) - left)
