"""The driver's thread: it alone touches the sockets and the state machines, and makes every callback."""

from __future__ import annotations

import logging
import selectors
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from mesos_docker_scheduler.driver.calls import Call
from mesos_docker_scheduler.driver.connection import Channel, ConnectionEnded, Dial, Wakeup
from mesos_docker_scheduler.driver.detector import Detector
from mesos_docker_scheduler.driver.endpoint import Endpoint
from mesos_docker_scheduler.driver.http_response import ResponseError
from mesos_docker_scheduler.driver.pipeline import CallFailed, CallPipeline, Failure
from mesos_docker_scheduler.driver.protocol import (
    Ended,
    Lost,
    Notice,
    Phase,
    Received,
    Subscribed,
    Subscription,
)

logger = logging.getLogger(__name__)

_SEND_AHEAD_BYTES = 256 * 1024
_FLUSH_SECONDS = 1.0  # how long stop() lets queued calls go out


class Listener(Protocol):
    """What hears of the events, on the worker's thread. It must not raise."""

    def on_notice(self, notice: Notice) -> None:
        """Something about the subscription."""

    def on_call_failed(self, call: Call, error: CallFailed) -> None:
        """A call was refused or lost."""


class Worker:
    """Runs a Subscription and the calls on it until stopped, torn down or refused for good."""

    def __init__(
        self,
        subscription: Subscription,
        detector: Detector,
        tls: Callable[[], ssl.SSLContext],
        listener: Listener,
    ) -> None:
        self._subscription = subscription
        self._detector = detector
        self._make_tls = tls
        self._listener = listener
        self._wakeup = Wakeup()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._wakeup, selectors.EVENT_READ)
        self._lock = threading.Lock()  # guards the three below
        self._masters: Sequence[Endpoint] | None = None
        self._pipeline: CallPipeline | None = None
        self._stop_requested = False
        self._stream_dial: Dial | None = None
        self._stream: Channel | None = None
        self._calls_endpoint: Endpoint | None = None
        self._calls_dial: Dial | None = None
        self._calls: Channel | None = None
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
        with self._lock:
            return self._pipeline is not None

    def submit(self, call: Call) -> bool:
        """Queue a call; False when there is no subscription. TypeError or ValueError: it is not JSON."""
        with self._lock:
            if self._pipeline is None or self._stop_requested:
                return False
            self._pipeline.add(call)
        self._wakeup.set()
        return True

    def _masters_detected(self, masters: Sequence[Endpoint]) -> None:
        with self._lock:
            self._masters = masters
        self._wakeup.set()

    # The worker's thread

    def _run(self) -> None:
        self._detector.start(self._masters_detected)
        try:
            while not self._stopping() and self._subscription.phase is not Phase.ENDED:
                self._step()
            self._flush()
        except Exception:
            logger.critical(
                "The driver's thread fails; the framework and its tasks stay as they are", exc_info=True
            )
            self._hear([Ended("the driver failed, see the log")])
        finally:
            self._detector.stop()
            self._hear(self._close_all("the driver stopped"))
            self._selector.close()
            self._wakeup.close()

    def _stopping(self) -> bool:
        with self._lock:
            torn_down = self._pipeline is not None and self._pipeline.torn_down
            return self._stop_requested or torn_down

    def _step(self) -> None:
        """Do everything that can be done now, then wait for the next thing to happen."""
        now = time.monotonic()
        with self._lock:
            masters, self._masters = self._masters, None
        if masters is not None:
            self._hear(self._subscription.masters_detected(masters, now))
        self._advance_stream(now)
        self._advance_calls(now)
        self._wait(self._timeout(now))

    def _timeout(self, now: float) -> float | None:
        if any(channel is not None and channel.has_buffered() for channel in (self._stream, self._calls)):
            return 0.0
        deadlines = [self._subscription.deadline]
        if self._pipeline is not None:
            deadlines.append(self._pipeline.deadline)
        due = [deadline for deadline in deadlines if deadline is not None]
        return max(0.0, min(due) - now) if due else None

    def _wait(self, timeout: float | None) -> None:
        ready = {key.fileobj for key, _ in self._selector.select(timeout)}
        now = time.monotonic()
        if self._wakeup in ready:
            self._wakeup.clear()
        if self._stream is not None:
            if self._stream in ready or self._stream.has_buffered():
                self._read_stream(now)
            else:
                # Judged only when there is nothing to read: a callback may have kept this thread for long.
                self._hear(self._subscription.check_silence(now))
        if self._calls is not None and (self._calls in ready or self._calls.has_buffered()):
            self._read_calls()

    # The subscription's connection

    def _advance_stream(self, now: float) -> None:
        self._drop_stream_if_over()
        master = self._subscription.next_master(now)
        if master is not None:
            self._stream_dial = self._dial(master)
            if self._stream_dial is None:
                self._drop_stream_if_over()
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
            self._stream_closed(str(error))

    def _dial(self, endpoint: Endpoint) -> Dial | None:
        try:
            tls = self._make_tls() if endpoint.tls else None
        except ValueError as error:
            self._stream_closed(str(error))
            return None
        return Dial(endpoint, tls, self._wakeup.set)

    def _read_stream(self, now: float) -> None:
        assert self._stream is not None
        try:
            self._stream.send()
            data = self._stream.receive()
        except ConnectionEnded as error:
            self._stream_closed(str(error))
            return
        if data:
            self._hear(self._subscription.received(data, now))
            self._drop_stream_if_over()
        if self._stream is not None:
            self._watch(self._stream)

    def _stream_closed(self, reason: str) -> None:
        self._hear(self._subscription.closed(reason, time.monotonic()))
        self._drop_stream_if_over()

    def _drop_stream_if_over(self) -> None:
        """Make the socket agree with the state machine."""
        if self._subscription.phase not in (Phase.IDLE, Phase.ENDED):
            return
        if self._stream_dial is not None:
            self._stream_dial.give_up()
            self._stream_dial = None
        if self._stream is not None:
            self._close(self._stream)
            self._stream = None

    # The calls' connection

    def _advance_calls(self, now: float) -> None:
        pipeline = self._pipeline
        if pipeline is None:
            return
        if pipeline.stale:
            self._stream_closed("the master says that this subscription is not (or no longer) valid")
            return
        if pipeline.deadline is not None and now >= pipeline.deadline:
            self._calls_closed("the master took too long")
        if self._calls is None and pipeline.has_waiting:
            self._connect_calls(pipeline)
        if self._calls is not None:
            try:
                if self._calls.unsent < _SEND_AHEAD_BYTES:
                    self._calls.send(pipeline.take_requests(now, _SEND_AHEAD_BYTES))
                self._watch(self._calls)
            except ConnectionEnded as error:
                self._calls_closed(str(error))

    def _connect_calls(self, pipeline: CallPipeline) -> None:
        assert self._calls_endpoint is not None
        if self._calls_dial is None:
            self._calls_dial = self._dial(self._calls_endpoint)
        try:
            channel = self._calls_dial.result() if self._calls_dial else None
        except ConnectionEnded as error:
            self._calls_dial = None
            self._report(pipeline.abandon(str(error)))
            return
        if channel is not None:
            self._calls_dial = None
            self._calls = channel
            self._selector.register(channel, selectors.EVENT_READ)

    def _read_calls(self) -> None:
        assert self._calls is not None
        assert self._pipeline is not None
        try:
            self._calls.send()
            data = self._calls.receive()
            if not data:
                return
            failures, usable = self._pipeline.receive(data)
        except (ConnectionEnded, ResponseError) as error:
            self._calls_closed(str(error))
            return
        self._report(failures)
        if not usable:
            self._calls_closed("the master ended the connection")

    def _calls_closed(self, reason: str) -> None:
        if self._calls is not None:
            self._close(self._calls)
            self._calls = None
        if self._pipeline is not None:
            self._report(self._pipeline.connection_lost(reason))

    # Both

    def _watch(self, channel: Channel) -> None:
        """Wait for room to write only while something waits to be written."""
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if channel.unsent else 0)
        if self._selector.get_key(channel).events != events:
            self._selector.modify(channel, events)

    def _close(self, channel: Channel) -> None:
        self._selector.unregister(channel)
        channel.close()

    def _close_all(self, reason: str) -> list[Notice]:
        notices = self._subscription.closed(reason, time.monotonic())
        self._drop_stream_if_over()
        return notices

    def _flush(self) -> None:
        until = time.monotonic() + _FLUSH_SECONDS
        while (now := time.monotonic()) < until and self._pipeline is not None and not self._pipeline.idle:
            self._advance_calls(now)
            self._wait(until - now)

    def _hear(self, notices: Sequence[Notice]) -> None:
        """Bring the calls in line with the subscription, then tell the listener."""
        for notice in notices:
            if isinstance(notice, Subscribed):
                assert self._stream is not None
                self._calls_endpoint = notice.master.at(self._stream.peer_address)
                pipeline = CallPipeline(
                    notice.master, notice.framework_id, notice.stream_id, self._subscription.authorization
                )
                with self._lock:
                    self._pipeline = pipeline
            elif isinstance(notice, Lost):
                self._end_calls(notice.reason)
            self._listener.on_notice(notice)

    def _end_calls(self, reason: str) -> None:
        with self._lock:
            pipeline, self._pipeline = self._pipeline, None
        if self._calls_dial is not None:
            self._calls_dial.give_up()
            self._calls_dial = None
        if self._calls is not None:
            self._close(self._calls)
            self._calls = None
        if pipeline is not None:
            self._report(pipeline.abandon(reason))

    def _report(self, failures: Sequence[Failure]) -> None:
        for call, error in failures:
            self._listener.on_call_failed(call, error)
