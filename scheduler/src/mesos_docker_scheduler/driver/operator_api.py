"""Asks the leading master what it knows, by Mesos' operator API (docs/operator-http-api.md). Calls block."""

from __future__ import annotations

import contextlib
import http.client
import json
import queue
import socket
import time
from collections.abc import Mapping, Sequence
from typing import Any

from mesos_docker_scheduler.driver.credential import Credential
from mesos_docker_scheduler.driver.detector import (
    Detector,
    StaticDetector,
    ZooKeeperDetector,
    parse_master,
)
from mesos_docker_scheduler.driver.endpoint import Endpoint, redirect_target
from mesos_docker_scheduler.driver.tls import TlsSettings
from mesos_docker_scheduler.driver.zookeeper import ZooKeeperUrl
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
        credential: Credential | None = None,
        tls: TlsSettings | None = None,
    ) -> None:
        self._masters = parse_master(master, tls=tls is not None)
        self._default_tls = tls is not None
        self._tls = tls or TlsSettings()
        self._credential = credential

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
        if isinstance(self._masters, ZooKeeperUrl):
            return ZooKeeperDetector(self._masters, tls=self._default_tls)
        return StaticDetector(self._masters)

    def _ask(self, endpoint: Endpoint, kinds: Sequence[str]) -> list[Message]:
        for _ in range(_MOST_REDIRECTS):
            try:
                with contextlib.closing(_Connection(endpoint, self._tls)) as connection:
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
        response, body = self._post(connection, json.dumps({"type": kind}))
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

    def _post(
        self, connection: http.client.HTTPConnection, body: str
    ) -> tuple[http.client.HTTPResponse, bytes]:
        """Return the answer and its content, of the first secret that is not refused if there are several."""
        if self._credential is None:
            return _exchange(connection, body, {})
        for authorization in self._credential.authorizations():
            response, content = _exchange(connection, body, {"Authorization": authorization})
            if response.status != http.HTTPStatus.UNAUTHORIZED:
                break
        if response.status == http.HTTPStatus.OK:
            self._credential.accepted(authorization)
        return response, content


def _exchange(
    connection: http.client.HTTPConnection, body: str, headers: Mapping[str, str]
) -> tuple[http.client.HTTPResponse, bytes]:
    usual = {"Content-Type": "application/json", "Accept": "application/json"}
    connection.request("POST", _PATH, body, {**usual, **headers})
    response = connection.getresponse()
    return response, response.read()


class _Connection(http.client.HTTPConnection):
    """Connects as the endpoint wants it, also when the master has ended the connection after an answer."""

    def __init__(self, endpoint: Endpoint, tls: TlsSettings) -> None:
        super().__init__(endpoint.host, endpoint.port)
        self._endpoint = endpoint
        self._tls = tls

    def connect(self) -> None:
        """Open the socket."""
        endpoint = self._endpoint
        context = self._tls.context() if endpoint.tls else None
        sock = socket.create_connection((endpoint.host, endpoint.port), _CONNECT_SECONDS)
        if context is not None:
            sock = context.wrap_socket(sock, server_hostname=endpoint.certificate_name)
        sock.settimeout(_ANSWER_SECONDS)
        self.sock = sock
