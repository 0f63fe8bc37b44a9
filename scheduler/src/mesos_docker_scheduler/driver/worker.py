"""The driver's thread: it alone touches the sockets and the state machines, and it makes every callback."""

from __future__ import annotations

import logging
import selectors
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from mesos_docker_scheduler.driver.call_times import CallTimes
from mesos_docker_scheduler.driver.calls import Call
from mesos_docker_scheduler.driver.connection import (
    Channel,
    ConnectionEnded,
    Dial,
    SubscriptionForbidden,
    Wakeup,
)
from mesos_docker_scheduler.driver.detector import Detector
from mesos_docker_scheduler.driver.endpoint import Endpoint
from mesos_docker_scheduler.driver.http_response import ResponseError
from mesos_docker_scheduler.driver.pipeline import CallFailed, CallPipeline, Failure
from mesos_docker_scheduler.driver.protocol import Ended, Lost, Notice, Phase, Subscribed, Subscription

logger = logging.getLogger(__name__)

_SEND_AHEAD_BYTES = 256 * 1024
_FLUSH_SECONDS = 1.0  # how long stop() lets queued calls go out
_TEARDOWN_SECONDS = 2.0  # how much later than the stream's end the answer to TEARDOWN may come


class Listener(Protocol):
    """What hears of the events, on the worker's thread. It must not raise."""

    def on_notice(self, notice: Notice) -> None:
        """Something about the subscription."""

    def on_call_failed(self, call: Call, error: CallFailed) -> None:
        """A call was refused or lost."""


class _Calls:
    """The calls of the present subscription and their connection, made when there is something to send."""

    def __init__(self, pipeline: CallPipeline, endpoint: Endpoint) -> None:
        self.pipeline = pipeline
        self.endpoint = endpoint
        self.dial: Dial | None = None
        self.channel: Channel | None = None


class Worker:
    """Runs a Subscription and the calls on it until stopped, torn down or refused for good.

    tls: makes the context for a connection; ValueError says why it can't.
    before_subscribe: called before each connection for a subscription, on a thread of its own.
    """

    def __init__(
        self,
        subscription: Subscription,
        detector: Detector,
        tls: Callable[[], ssl.SSLContext],
        listener: Listener,
        before_subscribe: Callable[[], None],
    ) -> None:
        self._subscription = subscription
        self._detector = detector
        self._tls = tls
        self._listener = listener
        self._before_subscribe = before_subscribe
        self.call_times = CallTimes()
        self._wakeup = Wakeup()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._wakeup, selectors.EVENT_READ)
        self._finding = ""  # of the detector, as told last
        self._lock = threading.Lock()  # guards the next three
        self._detected: tuple[Sequence[Endpoint] | None, str] | None = None
        self._calls: _Calls | None = None
        self._stop_requested = False
        self._torn_down = False
        self._stream_dial: Dial | None = None
        self._stream: Channel | None = None
        self._thread = threading.Thread(target=self._run, name="mesos-driver", daemon=True)

    # Any thread

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Send what is queued, as far as a second allows, then end. Mesos sees a scheduler that went away."""
        with self._lock:
            self._stop_requested = True
        self._wakeup.set()

    def join(self) -> None:
        """Wait for the end, except on the worker's own thread."""
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()

    @property
    def running(self) -> bool:
        """Whether the thread has not ended."""
        return self._thread.is_alive()

    @property
    def connected(self) -> bool:
        """Whether calls would be sent."""
        return self._calls is not None

    @property
    def calls_open(self) -> tuple[int, int]:
        """How many calls wait to be sent, and how many for an answer."""
        calls = self._calls
        return (calls.pipeline.queued, calls.pipeline.in_flight) if calls is not None else (0, 0)

    def submit(self, call: Call) -> bool:
        """Queue a call; False when there is no subscription. TypeError: it is not JSON."""
        with self._lock:
            if self._calls is None or self._stop_requested:
                return False
            self._calls.pipeline.add(call)
        self._wakeup.set()
        return True

    def _masters_detected(self, masters: Sequence[Endpoint] | None, finding: str) -> None:
        with self._lock:
            if masters is None and self._detected is not None:
                masters = self._detected[0]
            self._detected = (masters, finding)
        if finding != self._finding:
            self._finding = finding
            logger.info(finding)
        self._wakeup.set()

    # The worker's thread

    def _run(self) -> None:
        try:
            self._detector.start(self._masters_detected)
            while not self._finished():
                self._step()
            self._flush()
        except Exception:
            logger.critical("The driver's thread fails; the framework and its tasks stay", exc_info=True)
            self._hear([*self._subscription.stop(), Ended("the driver failed, its log says why")])
        finally:
            self._detector.stop()
            self._hear(self._subscription.stop())
            self._close_stream_if_over()
            self._selector.close()
            self._wakeup.close()

    def _finished(self) -> bool:
        return self._stop_requested or self._torn_down or self._subscription.phase is Phase.ENDED

    def _step(self) -> None:
        """Do everything that can be done now, then wait for the next thing to happen."""
        now = time.monotonic()
        with self._lock:
            detected, self._detected = self._detected, None
        if detected is not None:
            self._hear(self._subscription.masters_detected(*detected, now))
        self._advance_stream(now)
        if self._calls is not None:
            self._advance_calls(self._calls, now)
        self._wait(self._timeout(now))

    def _timeout(self, now: float) -> float | None:
        channels = [self._stream, self._calls.channel if self._calls else None]
        if any(channel is not None and channel.has_buffered() for channel in channels):
            return 0.0
        deadlines = [self._subscription.deadline, self._calls.pipeline.deadline if self._calls else None]
        due = [deadline for deadline in deadlines if deadline is not None]
        return max(0.0, min(due) - now) if due else None

    def _wait(self, timeout: float | None) -> None:
        ready = {key.fileobj for key, _ in self._selector.select(timeout)}
        if self._wakeup in ready:
            self._wakeup.clear()
        stream, calls = self._stream, self._calls
        if stream is not None:
            if stream in ready or stream.has_buffered():
                self._read_stream(stream)
            else:
                # Only when there is nothing to read: a callback may have kept this thread for long.
                self._hear(self._subscription.check_silence(time.monotonic()))
        if calls is not None and calls.channel is not None and calls is self._calls:
            channel = calls.channel
            if channel in ready or channel.has_buffered():
                self._read_calls(calls, channel)

    # The subscription's connection

    def _advance_stream(self, now: float) -> None:
        self._close_stream_if_over()
        master = self._subscription.next_master(now)
        if master is not None:
            self._stream_dial = self._dial(master, self._before_subscribe)
        if self._stream_dial is None:
            return
        try:
            channel = self._stream_dial.result()
            if channel is None:
                return
            self._stream_dial = None
            self._stream = channel
            self._selector.register(channel, selectors.EVENT_READ)
            channel.send(self._subscription.connected(now))
            self._watch(channel)
        except ConnectionEnded as error:
            self._stream_dial = None
            self._stream_ended(str(error))
        except SubscriptionForbidden as error:
            self._stream_dial = None
            self._hear(self._subscription.forbidden(str(error)))

    def _dial(self, endpoint: Endpoint, before: Callable[[], None] = lambda: None) -> Dial | None:
        try:
            context = self._tls() if endpoint.tls else None
        except ValueError as error:
            self._stream_ended(str(error))
            return None
        return Dial(endpoint, context, self._wakeup.set, before)

    def _read_stream(self, stream: Channel) -> None:
        try:
            stream.send()
            data = stream.receive()
        except ConnectionEnded as error:
            self._stream_ended(str(error))
            return
        if data:
            self._hear(self._subscription.received(data, time.monotonic()))
            self._close_stream_if_over()
        if self._stream is stream:
            self._watch(stream)

    def _stream_ended(self, reason: str) -> None:
        self._hear(self._subscription.closed(reason, time.monotonic()))
        self._close_stream_if_over()

    def _close_stream_if_over(self) -> None:
        """Make the socket agree with the state machine."""
        if not self._subscription.is_over:
            return
        if self._stream_dial is not None:
            self._stream_dial.give_up()
            self._stream_dial = None
        if self._stream is not None:
            self._close(self._stream)
            self._stream = None

    # The calls' connection

    def _advance_calls(self, calls: _Calls, now: float) -> None:
        pipeline = calls.pipeline
        if pipeline.stale:
            self._stream_ended("the master says that this subscription is not, or no longer, valid")
            return
        if pipeline.deadline is not None and now >= pipeline.deadline:
            self._calls_ended(calls, "the master took too long")
        if calls.channel is None and pipeline.has_waiting:
            self._connect_calls(calls)
        if calls.channel is not None:
            try:
                if calls.channel.unsent < _SEND_AHEAD_BYTES:
                    calls.channel.send(pipeline.take_requests(now, _SEND_AHEAD_BYTES))
                self._watch(calls.channel)
            except ConnectionEnded as error:
                self._calls_ended(calls, str(error))

    def _connect_calls(self, calls: _Calls) -> None:
        if calls.dial is None:
            calls.dial = self._dial(calls.endpoint)
        if calls.dial is None:
            return
        try:
            channel = calls.dial.result()
        except ConnectionEnded as error:
            calls.dial = None
            self._report(calls.pipeline.abandon(str(error)))
            return
        if channel is not None:
            calls.dial = None
            calls.channel = channel
            self._selector.register(channel, selectors.EVENT_READ)

    def _read_calls(self, calls: _Calls, channel: Channel) -> None:
        try:
            channel.send()
            data = channel.receive()
            if not data:
                return
            failures, usable = calls.pipeline.receive(data, time.monotonic())
            self._torn_down = self._torn_down or calls.pipeline.torn_down
        except (ConnectionEnded, ResponseError) as error:
            self._calls_ended(calls, str(error))
            return
        self._report(failures)
        if not usable:
            self._calls_ended(calls, "the master ended the connection")

    def _calls_ended(self, calls: _Calls, reason: str) -> None:
        """Give up the connection and the calls that wait for an answer on it."""
        self._close_calls(calls)
        self._report(calls.pipeline.connection_lost(reason))

    def _close_calls(self, calls: _Calls) -> None:
        if calls.dial is not None:
            calls.dial.give_up()
            calls.dial = None
        if calls.channel is not None:
            self._close(calls.channel)
            calls.channel = None

    # Both

    def _watch(self, channel: Channel) -> None:
        """Wait for room to write only while something waits to be written."""
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if channel.unsent else 0)
        if self._selector.get_key(channel).events != events:
            self._selector.modify(channel, events)

    def _close(self, channel: Channel) -> None:
        self._selector.unregister(channel)
        channel.close()

    def _flush(self) -> None:
        until = time.monotonic() + _FLUSH_SECONDS
        while self._calls is not None and not self._calls.pipeline.idle:
            now = time.monotonic()
            if now >= until:
                return
            self._advance_calls(self._calls, now)
            self._wait(until - now)

    def _hear(self, notices: Sequence[Notice]) -> None:
        """Bring the calls in line with the subscription, then tell the listener."""
        for notice in notices:
            if isinstance(notice, Subscribed):
                self._begin_calls(notice)
            elif isinstance(notice, Lost):
                self._end_calls(notice.reason)
            self._listener.on_notice(notice)

    def _begin_calls(self, subscribed: Subscribed) -> None:
        endpoint = subscribed.master
        if self._stream is not None:
            # The same master, whatever its name means by now.
            endpoint = endpoint.at(self._stream.peer_address)
        pipeline = CallPipeline(
            subscribed.master,
            subscribed.framework_id,
            subscribed.stream_id,
            subscribed.authorization,
            self.call_times,
        )
        with self._lock:
            self._calls = _Calls(pipeline, endpoint)

    def _end_calls(self, reason: str) -> None:
        with self._lock:
            calls, self._calls = self._calls, None
        if calls is not None:
            self._await_teardown(calls)
            self._close_calls(calls)
            self._report(calls.pipeline.abandon(reason))

    def _await_teardown(self, calls: _Calls) -> None:
        """Read on for the answer to TEARDOWN: the master that accepts it ends the stream, maybe first."""
        if calls.channel is None or not calls.pipeline.awaits_teardown:
            return
        until = time.monotonic() + _TEARDOWN_SECONDS
        with selectors.DefaultSelector() as selector:
            selector.register(calls.channel, selectors.EVENT_READ)
            while calls.channel is not None and calls.pipeline.awaits_teardown and time.monotonic() < until:
                selector.select(until - time.monotonic())
                self._read_calls(calls, calls.channel)

    def _report(self, failures: Sequence[Failure]) -> None:
        for call, error in failures:
            self._listener.on_call_failed(call, error)
