"""The subscription as a state machine without sockets or clocks (docs/scheduler-http-api.md).

The driver's thread tells it what happened and when. It says whom to connect to and when, what to send, what
the scheduler must hear, and until when the next sign of life is due.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from math import isfinite
from typing import Any

import orjson

from mesos_docker_scheduler.driver.credential import Credential
from mesos_docker_scheduler.driver.endpoint import Endpoint, redirect_target
from mesos_docker_scheduler.driver.http_response import Response, ResponseError, ResponseParser
from mesos_docker_scheduler.driver.pipeline import encode_request, error_text
from mesos_docker_scheduler.driver.recordio import RecordError, RecordParser
from mesos_docker_scheduler.wording import printable

logger = logging.getLogger(__name__)

MAX_BACKOFF_SECONDS = 15.0
RESPONSE_SECONDS = 75.0
DEFAULT_HEARTBEAT_SECONDS = 15.0
MISSED_HEARTBEATS = 5
LONGEST_HEARTBEAT_SECONDS = 86_400.0

_FIRST_BACKOFF_SECONDS = 0.5
_MAX_REDIRECTS = 3
_MAX_REFUSAL_BYTES = 64 * 1024


class Phase(Enum):
    """How far the subscription is."""

    IDLE = "not connected"
    CONNECTING = "connecting"
    SUBSCRIBING = "SUBSCRIBE sent"
    SUBSCRIBED = "subscribed"
    ENDED = "ended"  # by ERROR or a hopeless refusal: nothing is tried any more


@dataclass(frozen=True)
class FrameworkSettings:
    """What SUBSCRIBE and UPDATE_FRAMEWORK say of the framework.

    info: FrameworkInfo in v1 JSON, without its id and labels.
    """

    info: Mapping[str, Any]
    suppressed_roles: Sequence[str] = ()
    offer_constraints: Mapping[str, Any] | None = None

    @property
    def roles(self) -> list[str]:
        """The roles that the framework is in."""
        return list(self.info.get("roles") or [self.info.get("role", "*")])

    def to_json(self, framework_id: str | None, labels: Mapping[str, str]) -> dict[str, Any]:
        """Build the body of the call."""
        info = dict(self.info)
        if framework_id is not None:
            info["id"] = {"value": framework_id}
        if labels:
            info["labels"] = {"labels": [{"key": key, "value": value} for key, value in labels.items()]}
        body: dict[str, Any] = {"framework_info": info}
        if self.suppressed_roles:
            body["suppressed_roles"] = list(self.suppressed_roles)
        if self.offer_constraints is not None:
            body["offer_constraints"] = self.offer_constraints
        return body


@dataclass(frozen=True)
class Subscribed:
    """The master has taken us in. `first` is True when this gave the framework its id.

    settings: those that the SUBSCRIBE carried; authorization: the header that it carried.
    """

    settings: FrameworkSettings
    framework_id: str
    stream_id: str
    first: bool
    master: Endpoint
    master_info: dict[str, Any]
    authorization: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Received:
    """Any other event; `body` is what stands under the type's name in lower case."""

    type: str
    body: dict[str, Any]


@dataclass(frozen=True)
class Lost:
    """A subscription that lived is over."""

    reason: str


@dataclass(frozen=True)
class Ended:
    """The master will not have us; trying again would not help."""

    message: str


Notice = Subscribed | Received | Lost | Ended


@dataclass
class _Attempt:
    """One connection: to be made, being made, or made."""

    master: Endpoint
    heard_at: float
    settings: FrameworkSettings
    authorization: str | None = None
    responses: ResponseParser = field(default_factory=ResponseParser)
    records: RecordParser = field(default_factory=RecordParser)
    stream_id: str = ""
    heartbeat_seconds: float = DEFAULT_HEARTBEAT_SECONDS
    subscribed_at: float = 0.0


class Subscription:
    """Subscribes, stays subscribed, and says what comes in.

    settings: for the next SUBSCRIBE; may be replaced at any time.
    framework_id: the durable one, or None to let the master assign one.
    credential: what to send to the masters, if anything.
    labels: of the framework, for the next SUBSCRIBE; may be replaced at any time.
    failed_over: whether the master has given the framework to somebody else; `contests` says that it may be
        tried again then, for whoever is asked before each SUBSCRIBE knows whose it is.
    tearing_down: whether TEARDOWN was sent: that the stream ends is no news then. May be set by any thread.
    random: gives numbers from 0 to 1 for the jitter.
    """

    def __init__(
        self,
        settings: FrameworkSettings,
        framework_id: str | None,
        *,
        credential: Credential | None = None,
        contests: bool = False,
        random: Callable[[], float],
    ) -> None:
        self.settings = settings
        self.framework_id = framework_id
        self.labels: Mapping[str, str] = {}
        self.failed_over = False
        self._contests = contests
        self.tearing_down = False
        self.phase = Phase.IDLE
        self.problem: str | None = "no master has been reached yet"
        self._random = random
        self._masters: tuple[Endpoint, ...] = ()
        self._turn = 0  # which of the masters is next
        self._redirect: Endpoint | None = None  # whom to ask instead
        self._redirects = 0
        self._redirect_told: tuple[Endpoint, Endpoint] | None = None
        self._rounds = 0  # how often all masters have been tried in vain
        self._credential = credential
        self._refused_authorizations: set[str | None] = set()  # what the master at hand has refused of it
        self._not_before = 0.0
        self._attempt: _Attempt | None = None

    @property
    def master(self) -> Endpoint | None:
        """The master we are subscribed with. May be asked from any thread."""
        attempt = self._attempt
        return attempt.master if attempt is not None and self.phase is Phase.SUBSCRIBED else None

    @property
    def is_over(self) -> bool:
        """Whether the connection, if there is one, is to be closed."""
        return self.phase in (Phase.IDLE, Phase.ENDED)

    # Whom to connect to

    def masters_detected(self, masters: Sequence[Endpoint] | None, finding: str, now: float) -> list[Notice]:
        """Take the masters that may lead: the configured ones, or the one ZooKeeper names.

        An empty sequence says that nobody leads, None that there is no news. A subscription that lives is
        kept then, for the stream itself tells whether its master still leads.
        finding: what the detector says, for the operator.
        """
        if self.phase is Phase.IDLE and not (self._masters if masters is None else masters):
            self.problem = finding
        if masters is None or tuple(masters) == self._masters:
            return []
        self._masters = tuple(masters)
        self._redirect = None
        notices: list[Notice] = []
        if masters and self._attempt is not None and self._attempt.master not in self._masters:
            notices = self._over(f"the leading master is now {masters[0]}", now)
        self._turn = 0
        self._rounds = 0
        self._not_before = now
        return notices

    def next_master(self, now: float) -> Endpoint | None:
        """Return the master to connect to now, if it is time; the phase is CONNECTING then."""
        if self.phase is not Phase.IDLE or now < self._not_before or not (self._masters or self._redirect):
            return None
        master = self._redirect or self._masters[self._turn]
        self._redirect = None
        self._attempt = _Attempt(master, now, self.settings)
        self.phase = Phase.CONNECTING
        return master

    def connected(self, now: float) -> bytes:
        """Note that the connection is made; return the SUBSCRIBE to send on it."""
        if self._attempt is None or self.phase is not Phase.CONNECTING:
            raise RuntimeError(f"connected while {self.phase.value}")
        self.phase = Phase.SUBSCRIBING
        self._attempt.heard_at = now
        self._attempt.authorization = next(iter(self._untried()), None)
        # The id stands in it twice, as Mesos wants it.
        body = self._attempt.settings.to_json(self.framework_id, self.labels)
        call = {"type": "SUBSCRIBE", "subscribe": body}
        if self.framework_id is not None:
            call["framework_id"] = {"value": self.framework_id}
        return encode_request(self._attempt.master, call, self._attempt.authorization, None)

    def _untried(self) -> list[str]:
        """What the master at hand has not refused of the credential."""
        known = self._credential.authorizations() if self._credential is not None else ()
        return [authorization for authorization in known if authorization not in self._refused_authorizations]

    # What happens to the connection

    def closed(self, reason: str, now: float) -> list[Notice]:
        """Note that the connection could not be made, or is gone."""
        return [] if self.is_over else self._over(reason, now)

    def forbidden(self, reason: str) -> list[Notice]:
        """Note that nobody may subscribe any more."""
        return [] if self.is_over else self._end(reason)

    def stop(self) -> list[Notice]:
        """Give up the connection and make no other."""
        notices: list[Notice] = [Lost("the driver stopped")] if self.phase is Phase.SUBSCRIBED else []
        self.phase = Phase.ENDED
        self._attempt = None
        self.problem = self.problem or "the driver has stopped"
        return notices

    def received(self, data: bytes, now: float) -> list[Notice]:
        """Take bytes from the master. Look at `is_over` afterwards."""
        attempt = self._attempt
        if attempt is None:
            return []
        if self.phase is not Phase.SUBSCRIBED:
            attempt.heard_at = now
        notices: list[Notice] = []
        try:
            for response in attempt.responses.feed(data):
                notices += self._response_grew(attempt, response, now)
                if self.is_over:
                    break
        except (ResponseError, RecordError) as error:
            notices += self._over(str(error), now)
        return notices

    def _response_grew(self, attempt: _Attempt, response: Response, now: float) -> list[Notice]:
        if response.status != 200:
            return self._refused(attempt, response, now)
        if not attempt.stream_id:
            attempt.stream_id = response.headers.get("mesos-stream-id", "")
            if not attempt.stream_id:
                return self._over(
                    "its answer to SUBSCRIBE has no Mesos-Stream-Id: is this a Mesos master?", now
                )
        notices: list[Notice] = []
        for record in attempt.records.feed(response.take_body()):
            # Bytes alone are no sign of life: in a record that never ends heartbeats would be lost, too.
            attempt.heard_at = now
            notices += self._record(attempt, record, now)
            if self._attempt is not attempt:
                return notices  # it is over
        if response.complete:
            notices += self._over("the master ended the stream", now)
        return notices

    def _refused(self, attempt: _Attempt, response: Response, now: float) -> list[Notice]:
        if response.status == 307:
            return self._redirected(attempt, response.headers.get("location", ""), now)
        if not response.complete and len(response.body) < _MAX_REFUSAL_BYTES:
            return []  # the body says why
        text = error_text(response)
        if response.status == 400:
            return self._end(f"SUBSCRIBE was refused as invalid, {text}")
        if response.status in (401, 403):
            return self._kept_out(attempt, response.status, text, now)
        if response.status == 503:
            return self._over(f"the master is not ready, {text}", now)
        return self._over(f"SUBSCRIBE was refused, {text}", now)

    def _kept_out(self, attempt: _Attempt, status: int, text: str, now: float) -> list[Notice]:
        if status == 401:
            self._refused_authorizations.add(attempt.authorization)
            if self._untried():
                self._try_at_once(attempt.master, now)
                return []
        return self._over(f"the principal and secret are not accepted, {text}", now)

    def _redirected(self, attempt: _Attempt, location: str, now: float) -> list[Notice]:
        try:
            target = redirect_target(location, attempt.master)
        except ValueError as error:
            return self._over(str(error), now)
        if self._redirects >= _MAX_REDIRECTS:
            return self._over(f"redirected {_MAX_REDIRECTS} times without arriving, lastly to {target}", now)
        told = (attempt.master, target)
        level = logging.INFO if told != self._redirect_told else logging.DEBUG
        self._redirect_told = told
        logger.log(level, "Master %s redirects to the leading master %s", *told)
        self._redirects += 1
        self._try_at_once(target, now)
        return []

    def _try_at_once(self, master: Endpoint, now: float) -> None:
        self._redirect = master
        self._attempt = None
        self.phase = Phase.IDLE
        self._not_before = now

    # What the master says

    def _record(self, attempt: _Attempt, record: bytes, now: float) -> list[Notice]:
        try:
            event = _parsed(record)
            kind = event["type"]
            body = event.get(kind.lower(), {})
            if not isinstance(body, dict):
                raise TypeError(f"{kind.lower()} is no object")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            logger.error("Event from %s left out (%r): %r", attempt.master, error, record[:200])
            return []
        if kind == "HEARTBEAT":
            return []
        if kind == "SUBSCRIBED" and self.phase is not Phase.SUBSCRIBED:
            return self._taken_in(attempt, body, now)
        if kind == "ERROR":
            message = body.get("message")
            text = printable(message) if isinstance(message, str) else "ERROR without a message"
            return self._put_out(text, now)
        if kind == "SUBSCRIBED" or self.phase is not Phase.SUBSCRIBED:
            when = "again" if kind == "SUBSCRIBED" else "before SUBSCRIBED"
            logger.error("Event %s from %s came %s and is left out", kind, attempt.master, when)
            return []
        return [Received(kind, body)]

    def _put_out(self, message: str, now: float) -> list[Notice]:
        if not (self._contests and "failed over" in message):
            return self._end(message)
        self.failed_over = True
        return self._over(message, now)

    def _taken_in(self, attempt: _Attempt, body: dict[str, Any], now: float) -> list[Notice]:
        try:
            framework_id = text_of(body, "framework_id")
            heartbeat_seconds = float(body.get("heartbeat_interval_seconds") or DEFAULT_HEARTBEAT_SECONDS)
            if not 0 < heartbeat_seconds <= LONGEST_HEARTBEAT_SECONDS:
                raise ValueError(f"a heartbeat every {heartbeat_seconds} s")
        except (KeyError, TypeError, ValueError) as error:
            return self._over(f"SUBSCRIBED is not understood: {error!r}", now)
        first = self.framework_id is None
        self.framework_id = framework_id
        attempt.heartbeat_seconds = heartbeat_seconds
        attempt.subscribed_at = now
        if self._credential is not None and attempt.authorization is not None:
            self._credential.accepted(attempt.authorization)
        self._refused_authorizations.clear()
        self.phase = Phase.SUBSCRIBED
        self.problem = None
        self.failed_over = False
        master = attempt.master
        told = body.get("master_info")
        info = {"hostname": master.host, "port": master.port, **(told if isinstance(told, dict) else {})}
        logger.info("Subscribed with master %s as framework %s", master, framework_id)
        return [
            Subscribed(
                attempt.settings,
                framework_id,
                attempt.stream_id,
                first,
                master,
                info,
                attempt.authorization,
            )
        ]

    # Time

    @property
    def deadline(self) -> float | None:
        """When to look again: the next attempt, or the time by which the master must have been heard."""
        if self.phase is Phase.IDLE:
            return self._not_before if self._masters or self._redirect else None
        if self._attempt is not None and self.phase is Phase.SUBSCRIBING:
            return self._attempt.heard_at + RESPONSE_SECONDS
        if self._attempt is not None and self.phase is Phase.SUBSCRIBED:
            return self._attempt.heard_at + MISSED_HEARTBEATS * self._attempt.heartbeat_seconds
        return None

    def check_silence(self, now: float) -> list[Notice]:
        """End a connection on which nothing came for too long. To be called when there is nothing to read."""
        deadline = self.deadline
        if self.phase is Phase.IDLE or self._attempt is None or deadline is None or now < deadline:
            return []
        return self._over(f"nothing was heard from it for {now - self._attempt.heard_at:.0f} s", now)

    # Ends

    def _over(self, reason: str, now: float) -> list[Notice]:
        """Give this connection up and set the time of the next attempt."""
        attempt, was_subscribed = self._attempt, self.phase is Phase.SUBSCRIBED
        self.phase = Phase.IDLE
        self._attempt = None
        self._redirect = None
        self._redirects = 0
        self._refused_authorizations.clear()
        # A master that takes us in only to drop us at once must not be asked without pause either.
        if (
            attempt is not None
            and was_subscribed
            and now - attempt.subscribed_at >= attempt.heartbeat_seconds
        ):
            self._rounds = 0
        self._turn += 1
        delay = 0.0
        if self._turn >= len(self._masters):
            self._turn = 0
            delay = min(MAX_BACKOFF_SECONDS, _FIRST_BACKOFF_SECONDS * 2.0 ** min(self._rounds, 10))
            delay *= 0.5 + 0.5 * self._random()
            self._rounds += 1
        self._not_before = now + delay
        problem = f"{attempt.master}: {reason}" if attempt else reason
        known = problem == self.problem or self.tearing_down
        level = logging.DEBUG if known else logging.WARNING
        self.problem = problem
        logger.log(level, "Master %s; next attempt in %.1f s", problem, delay)
        return [Lost(reason)] if was_subscribed else []

    def _end(self, message: str) -> list[Notice]:
        """Give up for good."""
        self.problem = f"{self._attempt.master}: {message}" if self._attempt else message
        logger.error("Master %s; not trying again", self.problem)
        notices: list[Notice] = [Lost(message)] if self.phase is Phase.SUBSCRIBED else []
        self.phase = Phase.ENDED
        self._attempt = None
        return [*notices, Ended(message)]


def text_of(body: Mapping[str, Any], key: str) -> str:
    """The value of an id in an event. KeyError, TypeError: it has none, or what is no name."""
    value = body[key]["value"]
    if not (isinstance(value, str) and value and value.isprintable()):
        raise TypeError(f"the value of {key} is no name")
    return value


def _parsed(record: bytes) -> Any:
    """Read an event. Messages of tasks may hold what is no UTF-8: an update must not be lost for that.

    Nor for what is no JSON either, but is for Python: whatever is read can be written again.
    """
    try:
        return orjson.loads(record)
    except ValueError:
        return _writable(json.loads(record.decode("utf-8", "replace")))


def _writable(value: Any) -> Any:
    """The same without halves of pairs of surrogates, and numbers that JSON has no room for."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_writable(part) for part in value]
    if isinstance(value, dict):
        return {_writable(key): _writable(part) for key, part in value.items()}
    if isinstance(value, float):
        return value if isfinite(value) else None
    return value if not isinstance(value, int) or -(2**63) <= value < 2**64 else None
