"""Asks the leading master what it knows, by Mesos' operator API (docs/operator-http-api.md). Calls block."""

from __future__ import annotations

import contextlib
import http.client
import json
import queue
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from typing import Any

from mesos_docker_scheduler.driver.detector import (
    Detector,
    StaticDetector,
    ZooKeeperDetector,
    ZooKeeperMasters,
    parse_master,
)
from mesos_docker_scheduler.driver.endpoint import Endpoint, redirect_target
from mesos_docker_scheduler.driver.pipeline import basic_authorization
from mesos_docker_scheduler.driver.tls import TlsSettings
from mesos_docker_scheduler.errors import Error

Message = dict[str, Any]

_PATH = "/api/v1"
_DETECT_SECONDS = 10.0
_CONNECT_SECONDS = 15.0
_ANSWER_SECONDS = 75.0
_MOST_REDIRECTS = 5
_TEXT_SHOWN = 300


class OperatorApiError(Error):
    """The leading master does not answer, or refuses; `status` is the HTTP status if there is one."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class OperatorApi:
    """The leading master of `master`, found and spoken to as the driver does it."""

    def __init__(
        self,
        master: str,
        *,
        principal: str | None = None,
        secret: str | None = None,
        tls: TlsSettings | None = None,
    ) -> None:
        self._masters = parse_master(master, tls=tls is not None)
        self._default_tls = tls is not None
        self._tls = tls or TlsSettings()
        self._headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if principal is not None and secret is not None:
            self._headers["Authorization"] = basic_authorization(principal, secret)

    def ask(self, *kinds: str) -> list[Message]:
        """Make calls such as GET_TASKS to one master; returns what stands in each answer.

        OperatorApiError: there is no leader, it can't be reached, or it does not answer one of them.
        """
        failure = OperatorApiError("no master leads")
        for endpoint in self._leaders():
            try:
                return self._ask(endpoint, kinds)
            except OperatorApiError as error:
                failure = error
        raise failure

    def _leaders(self) -> Sequence[Endpoint]:
        found: queue.SimpleQueue[tuple[Sequence[Endpoint] | None, str]] = queue.SimpleQueue()
        detector = self._detector()
        detector.start(lambda masters, finding: found.put((masters, finding)))
        deadline, finding = time.monotonic() + _DETECT_SECONDS, "nothing heard from ZooKeeper"
        try:
            while True:
                masters, finding = found.get(timeout=max(0.0, deadline - time.monotonic()))
                if masters is not None:
                    break
        except queue.Empty:
            raise OperatorApiError(finding) from None
        finally:
            detector.stop()
        if not masters:
            raise OperatorApiError(finding)
        return masters

    def _detector(self) -> Detector:
        if isinstance(self._masters, ZooKeeperMasters):
            return ZooKeeperDetector(self._masters, tls=self._default_tls)
        return StaticDetector(self._masters)

    def _ask(self, endpoint: Endpoint, kinds: Sequence[str]) -> list[Message]:
        for _ in range(_MOST_REDIRECTS):
            try:
                with self._connection(endpoint) as connection:
                    answers = []
                    for kind in kinds:
                        answer = self._call(connection, kind)
                        if isinstance(answer, str):
                            endpoint = redirect_target(answer, endpoint)
                            break
                        answers.append(answer)
                    else:
                        return answers
            except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError) as error:
                raise OperatorApiError(f"the master {endpoint}: {str(error) or repr(error)}") from error
        raise OperatorApiError(f"the masters redirect more than {_MOST_REDIRECTS} times")

    def _call(self, connection: http.client.HTTPConnection, kind: str) -> Message | str:
        """What stands in the answer, or where the leading master is."""
        connection.request("POST", _PATH, json.dumps({"type": kind}), self._headers)
        response = connection.getresponse()
        body = response.read()
        location = response.getheader("Location")
        if response.status == http.HTTPStatus.TEMPORARY_REDIRECT and location is not None:
            return location
        if response.status != http.HTTPStatus.OK:
            text = " ".join(body[:_TEXT_SHOWN].decode("utf-8", "replace").split())
            raise OperatorApiError(
                f"the master {connection.host}:{connection.port} answers {kind} with HTTP {response.status}"
                f"{': ' if text else ''}{text}",
                response.status,
            )
        content: Message = json.loads(body)[kind.lower()]
        return content

    @contextlib.contextmanager
    def _connection(self, endpoint: Endpoint) -> Iterator[http.client.HTTPConnection]:
        sock = socket.create_connection((endpoint.host, endpoint.port), _CONNECT_SECONDS)
        connection = http.client.HTTPConnection(endpoint.host, endpoint.port)
        try:
            if endpoint.tls:
                sock = self._tls_context().wrap_socket(sock, server_hostname=endpoint.certificate_name)
            sock.settimeout(_ANSWER_SECONDS)
            connection.sock = sock
            yield connection
        finally:
            connection.close()
            sock.close()

    def _tls_context(self) -> ssl.SSLContext:
        return self._tls.context()
