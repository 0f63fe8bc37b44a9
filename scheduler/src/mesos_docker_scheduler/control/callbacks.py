"""The pymesos Scheduler: each callback puts an event on the controller's queue and returns at once."""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable
from typing import Any

from mesos_docker_scheduler.control import events
from mesos_docker_scheduler.driver import CallFailed, Scheduler

Message = dict[str, Any]

logger = logging.getLogger(__name__)


class QueueingScheduler(Scheduler):
    """Callbacks come on the driver's thread; the state belongs to another one.

    `message` takes an executor's messages, at once: nothing of the state depends on them.
    """

    def __init__(
        self,
        put: Callable[[events.AnyEvent], None],
        message: Callable[[str, bytes], None] | None = None,
    ) -> None:
        self._put = put
        self._message = message

    def registered(self, driver: object, framework_id: str, master_info: Message) -> None:
        """Mesos has given or confirmed our framework id."""
        self._put(events.Subscribed(framework_id, master_info))

    def reregistered(self, driver: object, master_info: Message) -> None:
        """We are back at the same or another master."""
        self._put(events.Subscribed(None, master_info))

    def disconnected(self, driver: object) -> None:
        """The master is gone."""
        self._put(events.Disconnected())

    def resourceOffers(self, driver: object, offers: list[Message]) -> None:
        """Mesos offers resources."""
        self._put(events.Offers(tuple(offers)))

    def offerRescinded(self, driver: object, offer_id: str) -> None:
        """An offer is void."""
        self._put(events.OfferRescinded(offer_id))

    def inverseOffers(self, driver: object, offers: list[Message]) -> None:
        """Mesos wants agents back."""
        self._put(events.InverseOffers(tuple(offers)))

    def inverseOfferRescinded(self, driver: object, offer_id: str) -> None:
        """Mesos no longer wants an agent back."""
        self._put(events.InverseOfferRescinded(offer_id))

    def statusUpdate(self, driver: object, status: Message) -> None:
        """A task's state changed, or was asked for."""
        self._put(events.Update(status))

    def frameworkMessage(self, driver: object, executor_id: str, agent_id: str | None, data: str) -> None:
        """An executor says something."""
        if self._message is None:
            return
        try:
            self._message(executor_id, base64.b64decode(data, validate=True))
        except (ValueError, LookupError, TypeError) as error:
            logger.warning("A message of executor %s not understood and left out: %r", executor_id, error)

    def slaveLost(self, driver: object, agent_id: str) -> None:
        """The master removed an agent."""
        self._put(events.AgentLost(agent_id))

    def error(self, driver: object, message: str) -> None:
        """Mesos refuses us; the driver has stopped."""
        self._put(events.FrameworkError(message))

    def callFailed(self, driver: object, call: Message, error: Exception) -> None:
        """A queued call failed."""
        status = error.status if isinstance(error, CallFailed) else None
        self._put(events.CallFailed(call, str(error), status))
