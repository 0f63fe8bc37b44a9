"""The subscription as a state machine without sockets or clocks.

The driver's thread feeds it what happened and the time; it says whom to connect to and when, what to send, what the
scheduler must hear, and until when the next sign of life is due. (docs/scheduler-http-api.md)
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from mesos_docker_scheduler.driver.endpoint import Endpoint, redirect_target
from mesos_docker_scheduler.driver.http_response import Response, ResponseError, ResponseParser
from mesos_docker_scheduler.driver.pipeline import encode_request, error_text
from mesos_docker_scheduler.driver.recordio import RecordError, RecordParser

logger = logging.getLogger(__name__)

MAX_BACKOFF_SECONDS = 15.0
RESPONSE_SECONDS = 75.0
DEFAULT_HEARTBEAT_SECONDS = 15.0
MISSED_HEARTBEATS = 5

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
class Subscribed:
    """The master has taken us in. `first` is True when this gave the framework its id."""

    framework_id: str
    stream_id: str
    first: bool
    master: Endpoint
    master_info: dict[str, Any]


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


class Subscription:
    """Subscribes, stays subscribed, and says what comes in.

    framework: FrameworkInfo, v1 JSON, without its id. `framework_id` is filled in when the master assigns it.
    random: numbers from 0 to 1 for the jitter.
    """

    def __init__(
        self,
        framework: Mapping[str, Any],
        framework_id: str | None = None,
        *,
        suppressed_roles: Sequence[str] = (),
        offer_constraints: Mapping[str, Any] | None = None,
        authorization: str | None = None,
        random: Callable[[], float],
    ) -> None:
        self.framework = framework
        self.framework_id = framework_id
        self.suppressed_roles = list(suppressed_roles)
        self.offer_constraints = offer_constraints
        self.authorization = authorization
        self.phase = Phase.IDLE
        self.problem: str | None = "no master is known yet"
        self._random = random
        self._masters: tuple[Endpoint, ...] = ()
        self._turn = 0  # which of the masters is next
        self._redirect: Endpoint | None = None
        self._redirects = 0
        self._rounds = 0  # how often all masters have been tried in vain
        self._not_before = 0.0
        self._endpoint: Endpoint | None = None
        self._response = ResponseParser()
        self._records = RecordParser()
        self._stream_id = ""
        self._subscribed_at = 0.0
        self._heard_at = 0.0
        self._heartbeat_seconds = DEFAULT_HEARTBEAT_SECONDS

    # Whom to connect to

    def masters_detected(self, masters: Sequence[Endpoint], now: float) -> list[Notice]:
        """Take the masters that may lead: the configured ones, or the one ZooKeeper names.

        None at all means that nobody leads as far as is known: a subscription that lives is kept, for it is the
        master's stream that tells whether it still leads.
        """
        if tuple(masters) == self._masters:
            return []
        self._masters = tuple(masters)
        self._turn = 0
        self._redirect = None
        self._rounds = 0
        self._not_before = now
        if not masters:
            if self.phase is Phase.IDLE:
                self.problem = "no leading master is known"
            return []
        if self._endpoint is None or self._endpoint in self._masters:
            return []
        notices = self._over(f"the leading master is now {masters[0]}", now)
        self._rounds = 0
        self._not_before = now
        return notices

    def next_master(self, now: float) -> Endpoint | None:
        """Return the master to connect to now, if it is time; the phase is CONNECTING then."""
        if self.phase is not Phase.IDLE or now < self._not_before or not (self._masters or self._redirect):
            return None
        self._endpoint = self._redirect or self._masters[self._turn]
        self._redirect = None
        self.phase = Phase.CONNECTING
        return self._endpoint

    def connected(self, now: float) -> bytes:
        """Return the SUBSCRIBE to send on the new connection."""
        assert self._endpoint is not None
        self.phase = Phase.SUBSCRIBING
        self._heard_at = now
        self._response = ResponseParser()
        self._records = RecordParser()
        self._stream_id = ""
        return encode_request(self._endpoint, self.subscribe_call(), self.authorization, None)

    def subscribe_call(self) -> dict[str, Any]:
        """Build SUBSCRIBE; the id stands in it twice, as Mesos wants it."""
        call: dict[str, Any] = {
            "type": "SUBSCRIBE",
            "subscribe": self.framework_settings(self.suppressed_roles),
        }
        if self.framework_id is not None:
            call["framework_id"] = {"value": self.framework_id}
        return call

    def framework_settings(self, suppressed_roles: Sequence[str]) -> dict[str, Any]:
        """Build what SUBSCRIBE and UPDATE_FRAMEWORK have in common."""
        framework: dict[str, Any] = dict(self.framework)
        if self.framework_id is not None:
            framework["id"] = {"value": self.framework_id}
        settings: dict[str, Any] = {"framework_info": framework}
        if suppressed_roles:
            settings["suppressed_roles"] = list(suppressed_roles)
        if self.offer_constraints is not None:
            settings["offer_constraints"] = self.offer_constraints
        return settings

    # What happens to the connection

    def closed(self, reason: str, now: float) -> list[Notice]:
        """Note that the connection could not be made, or is gone."""
        if self.phase in (Phase.IDLE, Phase.ENDED):
            return []
        return self._over(reason, now)

    def received(self, data: bytes, now: float) -> list[Notice]:
        """Take bytes from the master. When the phase is IDLE or ENDED afterwards, the connection is to be closed."""
        self._heard_at = now
        notices: list[Notice] = []
        try:
            for response in self._response.feed(data):
                notices += self._response_grew(response, now)
                if self.phase in (Phase.IDLE, Phase.ENDED):
                    break
        except (ResponseError, RecordError) as error:
            notices += self._over(str(error), now)
        return notices

    def _response_grew(self, response: Response, now: float) -> list[Notice]:
        if response.status != 200:
            return self._refused(response, now)
        if not self._stream_id:
            self._stream_id = response.headers.get("mesos-stream-id", "")
            if not self._stream_id:
                return self._over(
                    "the answer to SUBSCRIBE has no Mesos-Stream-Id: is this a Mesos master?", now
                )
        notices: list[Notice] = []
        for record in self._records.feed(response.take_body()):
            notices += self._record(record, now)
            if self.phase in (Phase.IDLE, Phase.ENDED):
                return notices
        if response.complete:
            notices += self._over("the master ended the stream", now)
        return notices

    def _refused(self, response: Response, now: float) -> list[Notice]:
        if response.status == 307:
            return self._redirected(response.headers.get("location", ""), now)
        if not response.complete and len(response.body) < _MAX_REFUSAL_BYTES and response.status != 503:
            return []  # its body says why
        text = error_text(response)
        if response.status == 400:
            return self._end(f"the master refused SUBSCRIBE as invalid, {text}")
        if response.status in (401, 403):
            text = f"the master does not accept this principal and secret, {text}"
        elif response.status == 503:
            text = f"the master is not ready, {text}"
        else:
            text = f"the master refused SUBSCRIBE, {text}"
        return self._over(text, now)

    def _redirected(self, location: str, now: float) -> list[Notice]:
        assert self._endpoint is not None
        try:
            target = redirect_target(location, self._endpoint)
        except ValueError as error:
            return self._over(str(error), now)
        if self._redirects >= _MAX_REDIRECTS:
            return self._over(f"redirected {_MAX_REDIRECTS} times without arriving, lastly to {target}", now)
        logger.info("Master %s redirects to the leading master %s", self._endpoint, target)
        self._redirects += 1
        self._redirect = target
        self._endpoint = None
        self.phase = Phase.IDLE
        self._not_before = now
        return []

    # What the master says

    def _record(self, record: bytes, now: float) -> list[Notice]:
        try:
            event = json.loads(record)
            kind = event["type"]
            body = event.get(kind.lower(), {})
            if not isinstance(body, dict):
                raise TypeError(f"{kind.lower()} is no object")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            logger.error(
                "Event from %s not understood and left out (%r): %r", self._endpoint, error, record[:200]
            )
            return []
        if kind == "HEARTBEAT":
            return []
        if kind == "SUBSCRIBED":
            return self._taken_in(body, now)
        if kind == "ERROR":
            return self._end(str(body.get("message", "ERROR without a message")))
        if self.phase is not Phase.SUBSCRIBED:
            logger.error("Event %s from %s before SUBSCRIBED left out", kind, self._endpoint)
            return []
        return [Received(kind, body)]

    def _taken_in(self, body: dict[str, Any], now: float) -> list[Notice]:
        assert self._endpoint is not None
        try:
            framework_id = str(body["framework_id"]["value"])
        except (KeyError, TypeError):
            return self._over("SUBSCRIBED came without a framework id", now)
        first = self.framework_id is None
        self.framework_id = framework_id
        self._heartbeat_seconds = float(body.get("heartbeat_interval_seconds") or DEFAULT_HEARTBEAT_SECONDS)
        self._subscribed_at = now
        self.phase = Phase.SUBSCRIBED
        self.problem = None
        info = {
            "hostname": self._endpoint.host,
            "port": self._endpoint.port,
            **(body.get("master_info") or {}),
        }
        logger.info("Subscribed with master %s as framework %s", self._endpoint, framework_id)
        return [Subscribed(framework_id, self._stream_id, first, self._endpoint, info)]

    # Time

    @property
    def deadline(self) -> float | None:
        """When to look again: the next attempt or the time by which the master must have been heard."""
        if self.phase is Phase.IDLE:
            return self._not_before if self._masters or self._redirect else None
        if self.phase is Phase.SUBSCRIBING:
            return self._heard_at + RESPONSE_SECONDS
        if self.phase is Phase.SUBSCRIBED:
            return self._heard_at + MISSED_HEARTBEATS * self._heartbeat_seconds
        return None

    def check_silence(self, now: float) -> list[Notice]:
        """End a connection on which nothing has come for too long. Call it only when there is nothing to read."""
        if (
            self.phase not in (Phase.SUBSCRIBING, Phase.SUBSCRIBED)
            or self.deadline is None
            or now < self.deadline
        ):
            return []
        silent = now - self._heard_at
        return self._over(f"nothing heard from the master for {silent:.0f} s", now)

    # Ends

    def _over(self, reason: str, now: float) -> list[Notice]:
        """Give this connection up and set the time of the next attempt."""
        endpoint, was_subscribed = self._endpoint, self.phase is Phase.SUBSCRIBED
        self.phase = Phase.IDLE
        self._endpoint = None
        self._redirect = None
        self._redirects = 0
        # A master that takes us in only to drop us at once must not be asked without pause either.
        if was_subscribed and now - self._subscribed_at >= self._heartbeat_seconds:
            self._rounds = 0
        self._turn += 1
        delay = 0.0
        if self._turn >= len(self._masters):
            self._turn = 0
            delay = min(MAX_BACKOFF_SECONDS, _FIRST_BACKOFF_SECONDS * 2.0 ** min(self._rounds, 10))
            delay *= 0.5 + 0.5 * self._random()
            self._rounds += 1
        self._not_before = now + delay
        problem = f"{endpoint}: {reason}"
        level = logging.WARNING if problem != self.problem else logging.DEBUG
        self.problem = problem
        logger.log(level, "Master %s; next attempt in %.1f s", problem, delay)
        return [Lost(reason)] if was_subscribed else []

    def _end(self, message: str) -> list[Notice]:
        notices: list[Notice] = []
        if self.phase is Phase.SUBSCRIBED:
            notices.append(Lost(message))
        self.problem = f"{self._endpoint}: {message}"
        self.phase = Phase.ENDED
        self._endpoint = None
        logger.error("Master %s; not trying again", self.problem)
        return [*notices, Ended(message)]
