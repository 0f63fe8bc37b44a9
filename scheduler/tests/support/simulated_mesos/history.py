"""One scheduler's life in a simulated world: made, disturbed, calmed and judged from one seed."""

from __future__ import annotations

import contextlib
import queue
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from mesos_docker_scheduler.config import Config, Service
from mesos_docker_scheduler.control import events
from mesos_docker_scheduler.control.controller import Controller
from mesos_docker_scheduler.control.framework import framework_info
from mesos_docker_scheduler.observability.metrics import Metrics
from mesos_docker_scheduler.records.store import Event
from scheduler_fakes import NOW

from simulated_mesos.agents import Bundle, Container, Machine
from simulated_mesos.chaos import Chaos
from simulated_mesos.disk import Disk, Folder, Medium, Memory
from simulated_mesos.fate import Fate, SchedulerKilledError
from simulated_mesos.inquiries import Inquiries
from simulated_mesos.master import Standing
from simulated_mesos.oracle import InvariantError, Oracle, fits_beside
from simulated_mesos.tenure import Tenure
from simulated_mesos.wire import Wire
from simulated_mesos.wishes import Wishes

TROUBLED_SECONDS = 300.0
QUIET_SECONDS = 2000.0  # the longest back-off, two implicit reconciliations, and time to act on both
IDLE_SECONDS = 60.0
_BAD_UPDATES = 0.2  # of so many histories
_FAILING_SECONDS = 900.0
_PROVING_SECONDS = 18.0  # longer than any min_ready_seconds, and the tick after it
_EXPIRY_SECONDS = 75.0  # longer than a version's failures are remembered once it is healthy
_PATIENCE_SECONDS = 300.0
_TICK_SECONDS = 5.0
_LINGER_SECONDS = 0.005  # how long the scheduler takes for a round: what comes meanwhile comes together
_ROUNDS_AT_ONCE = 100
_QUESTIONS = 6  # in a time of rest: with ever longer pauses
_MUCH = 3000  # thousandths of a processor: with so many, an instance may leave no room for another
_REAL_STORE = 16  # one history of so many uses the real store
_SEVERAL = 4  # one of so many has several schedulers
_AWAY_SECONDS = 120.0  # a leader is frozen or cut off, at most
_FROZEN_AT_ONCE = 2  # so three schedulers take part
_BELATED_ROUNDS = 3
_PORTS = frozenset(range(31_000, 31_020))


class NoMetrics:
    """Takes every measurement and forgets it: making real metrics takes longer than a round."""

    def __getattr__(self, name: str) -> Any:
        return self

    def __call__(self, *arguments: object) -> Any:
        # As a decorator it leaves what it decorates.
        return arguments[0] if arguments and callable(arguments[0]) else self

    def __getitem__(self, key: object) -> Any:
        return self

    def __enter__(self) -> None:
        """Measure nothing."""

    def __exit__(self, *exception: object) -> None:
        """Measure nothing."""


_NO_METRICS = cast(Metrics, NoMetrics())


class _Former:
    """A scheduler that has led, and does not know that another one does. Nothing may come of what it does.

    heard: what it has not taken in yet.
    """

    def __init__(
        self, controller: Controller, tenure: Tenure, heard: list[events.AnyEvent], fate: Fate
    ) -> None:
        self.tenure = tenure
        self._controller = controller
        self._fate = fate
        self._batches: list[list[events.AnyEvent]] = [[], [*heard], [events.Disconnected()]]
        fate.random.shuffle(self._batches)

    def round(self) -> None:
        """One more round."""
        self.tenure.attempts.clear()
        with contextlib.suppress(SchedulerKilledError):
            self._controller.process(self._batches.pop() if self._batches else [], self._fate.now)
        if {"acceptOffers", "acknowledgeStatusUpdate"} & set(self.tenure.attempts):
            raise InvariantError(f"a former leader acts: {self.tenure.attempts}")


class History:
    """`run` lets time pass with trouble, `calm_down` ends it, `finish` waits for what must come of it."""

    def __init__(
        self,
        seed: int,
        *,
        config: Config | None = None,
        trouble: float | None = None,
    ) -> None:
        self.seed = seed
        self.fate = fate = Fate(seed, NOW)
        chance = fate.random
        fate.trouble = chance.choice((0.0, 0.02, 0.05, 0.1)) if trouble is None else trouble
        self.strikes = bool(fate.trouble)
        self.wire = Wire(fate, delay=chance.choice((0.0, 0.0, 0.05, 0.5)))
        machines = self._machines = [_machine(number) for number in range(chance.randint(3, 5))]
        for machine in machines:
            self.wire.master.add(machine)
        self.chaos = Chaos(fate, self.wire, machines)
        self.wishes = Wishes(chance, len(machines))
        self.config = self.wishes.first() if config is None else config
        self.oracle = self.wire.watcher = Oracle(fate, self.wire, self.config)
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self.disk = self.oracle.disk = Disk(fate, self._medium(), self.oracle.sees_change)
        self.inquiries = Inquiries(fate, self.wire)
        self._frozen = 0
        self._several = seed % _SEVERAL == _SEVERAL - 1
        if self._several:
            fate.freeze = self._freeze
        self._rounds_at_once = 0
        self.rounds = 0
        self.start()

    def _medium(self) -> Medium:
        if self.seed % _REAL_STORE:
            return Memory()
        shared_memory = Path("/dev/shm")
        self._folder = tempfile.TemporaryDirectory(dir=shared_memory if shared_memory.is_dir() else None)
        return Folder(Path(self._folder.name) / "state")

    def close(self) -> None:
        """Let go of the store."""
        self.disk.close()
        if self._folder is not None:
            self._folder.cleanup()

    @property
    def lasted(self) -> float:
        """Simulated seconds so far."""
        return self.fate.now - NOW

    # The scheduler's processes

    def start(self) -> None:
        """A new scheduler process on what the old one left on the disk."""
        self.fate.log("a scheduler starts")
        self.inquiries.end()
        self.inquiries = Inquiries(self.fate, self.wire)
        self.wire.start(framework_info(self.config, None)["roles"])
        self.oracle.process_starts()

        def new_id(service: str, version: str) -> str:
            return f"{service}.{version}.{self.fate.random.getrandbits(64):016x}"

        self._tenure = Tenure(self.disk, self.wire)
        remembered = self._tenure.store.load()
        self.controller = Controller(
            self.config,
            "sha",
            self._tenure.store,
            remembered,
            self._tenure.driver,
            inbox=queue.SimpleQueue(),
            clock=lambda: self.fate.now,
            metrics=_NO_METRICS,
            tell=self._hear,
            survey=self.inquiries.survey,
            new_id=new_id,
        )
        self.oracle.sees(self.controller)
        if remembered.framework_id is None:
            self.inquiries.find()
        else:
            self.wire.subscribe_as(remembered.framework_id)

    def restart(self) -> None:
        """The scheduler is killed, and started again."""
        self.fate.count("scheduler killed")
        self.start()

    def _freeze(self) -> None:
        """The leader stands still, and another one takes over. Then it goes on with what it was doing."""
        if self._frozen == _FROZEN_AT_ONCE:
            return
        fate = self.fate
        fate.count("leader frozen")
        fate.log("the leader is frozen")
        self._frozen += 1
        former = self._depose()
        self.run(fate.between(1, _AWAY_SECONDS))
        self._frozen -= 1
        fate.log("the former leader goes on")
        for number in range(_BELATED_ROUNDS):
            fate.later(10.0 * number, former.round)

    def _cut_off(self) -> None:
        """The leader is cut off from ZooKeeper, and another one takes over. It works on meanwhile."""
        fate = self.fate
        fate.count("leader cut off")
        fate.log("the leader is cut off from ZooKeeper")
        former = self._depose()
        former.tenure.cut_off = True
        for _ in range(_BELATED_ROUNDS):
            fate.later(fate.between(0, _AWAY_SECONDS), former.round)

        def reaches_it_again() -> None:
            former.tenure.cut_off = False

        fate.later(fate.between(0, _AWAY_SECONDS), reaches_it_again)

    def _depose(self) -> _Former:
        """Another one takes over from the leader, which does not know it."""
        former = _Former(self.controller, self._tenure, list(self.wire.inbox), self.fate)
        self._tenure.over = True
        self.start()
        return former

    def _hear(self, event: Event) -> None:
        self.fate.log(f"  says {event.kind}:", (event.service, event.task_id, event.text))

    # Time passes

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end = self.fate.now + seconds
        while self.fate.now < end:
            self.round(end)
            if self.fate.trouble and self.strikes and self.fate.random.random() < 0.04:
                self._trouble()

    def round(self, end: float) -> None:
        """What comes next: something that happens by itself, or something that the scheduler does."""
        fate, inbox = self.fate, self.wire.inbox
        before = fate.now
        if not inbox:
            fate.advance(min(fate.next_at, self.controller.wake_at, end))
        if inbox:
            fate.advance(fate.now + _LINGER_SECONDS)
        elif fate.now < self.controller.wake_at:
            return
        self._rounds_at_once = self._rounds_at_once + 1 if fate.now == before else 0
        if self._rounds_at_once > _ROUNDS_AT_ONCE:
            raise InvariantError("the scheduler does not sleep")
        self.rounds += 1
        batch = list(inbox)
        inbox.clear()
        for event in batch:
            fate.log("  event", event)
        controller = self.controller
        try:
            self.oracle.hears(batch)
            controller.process(batch, fate.now)
            if controller is self.controller:
                self.oracle.sees(controller)
        except SchedulerKilledError:
            self.restart()
        if self.wire.master.refusals:
            raise InvariantError(f"Mesos refuses {self.wire.master.refusals}")

    def _trouble(self) -> None:
        if self._several and self.fate.random.random() < 0.1:
            self._cut_off()
            return
        what = self.fate.random.random()
        if what < 0.1:
            self.restart()
        elif what < 0.3:
            self.fate.count("configuration changed")
            self.change(self.wishes.changed(self.config))
        elif what < 0.33:
            self.disk.keep_copy()
        elif what < 0.34:
            self.fate.count("asked again")
            self.ask_again()
        elif what < 0.39 and self.fate.now < self.wire.master.ignorant_until:
            pass  # where the store and the registry are lost together, nobody can know of what runs
        elif what < 0.37:
            self.fate.count("store lost")
            self.fate.log("the store is lost")
            self.disk.lose()
            self.oracle.store_replaced()
            self.restart()
        elif what < 0.39 and self.disk.copy_is_of(self.wire.master.framework_id):
            self.fate.count("store replaced by an older copy")
            self.fate.log("the store is replaced by an older copy")
            self.disk.restore_copy()
            self.oracle.store_replaced()
            self.restart()
        else:
            self.chaos.strike()

    def change(self, config: Config) -> None:
        """An operator changes the configuration."""
        self.config = config
        self.fate.log("the configuration becomes", config.services)
        self.wire.inbox.append(events.ConfigRead(config, "sha"))

    def ask_again(self) -> None:
        """An operator reloads the configuration, to have tried again what has failed."""
        self.fate.log("an operator asks again")
        self.wire.inbox.append(events.ConfigRead(self.config, "sha", asked=True))

    def calm_down(self) -> None:
        """End all trouble, and wish for what is possible."""
        self.fate.log("all trouble ends")
        away = int(self.fate.random.random() < 0.1)
        self.chaos.calm_down(away)
        self.fate.kill_at = None
        big = {one.service for _, one in self.wire.master.containers() if one.resources.cpus >= _MUCH}
        self.change(self.wishes.good(big))

    def finish(self) -> None:
        """Wait until all is as wished, and see that nothing is done from then on."""
        end = self.fate.now + QUIET_SECONDS
        ask_at = self.fate.now + _PATIENCE_SECONDS
        # The last configuration may still be unread, and all be as it wishes already.
        while self.wire.inbox or not self._settled():
            if self.fate.now >= end:
                raise InvariantError(f"it does not converge: {self._state()}")
            self.run(1.0)
            while self._settled() and self.fate.now < end:
                calls = self.wire.calls
                # What is spread badly is moved one at a time, when failures have expired, and proves itself.
                moves = any(one.rebalance for one in self.config.services)
                self.run(_EXPIRY_SECONDS if moves else _PROVING_SECONDS)
                if self.wire.calls == calls:
                    break
            if self.fate.now >= ask_at and self.oracle.stopped_updates:
                # What failed because of the trouble is tried again.
                ask_at = self.fate.now + _PATIENCE_SECONDS
                self.ask_again()
        self._idle()

    def _idle(self) -> None:
        calls, declines, rounds = self.wire.calls, self.wire.declines, self.rounds
        default = self.config.framework.role
        watching = {one.role or default for one in self.config.services if one.watches_agents}
        if watching and len(self._machines_there()) < len(self._machines):
            return  # one may come back at any time, and is of interest
        questions = _QUESTIONS if self._may_return() else 1
        implicit, alive = self.fate.now, self._alive_on_record()
        self.run(IDLE_SECONDS)
        while questions > 1 and not self._settled() and self.fate.now < implicit + 2 * IDLE_SECONDS:
            self.run(1.0)  # something has come back just now
        # Of what returned and has ended, up to four updates were acknowledged, and it was told to stop.
        questions += 5 * len(alive - self._alive_on_record())
        if not self._settled():
            raise InvariantError(f"it does not stay as it is wished: {self._state()}")
        # Instances that nobody can reach any more may still have to be stopped when they come back.
        if watching:  # what becomes free is offered, whether somebody wants it or not
            questions += self.wire.declines - declines
        if self.wire.calls - calls > questions:
            raise InvariantError(f"{self.wire.calls - calls} calls while there is nothing to do")
        # One a tick, and those in which something is asked or answered: of each task on its own, it may be.
        lasted = self.fate.now - implicit
        answers = len(self._alive_on_record()) if self.wire.calls > calls else 0
        if self.rounds - rounds > 1.5 * (lasted / _TICK_SECONDS + questions - 1) + answers:
            raise InvariantError(f"{self.rounds - rounds} rounds in {lasted:.0f} s of rest")
        if set(self.wire.master.roles) - self.wire.master.suppressed - watching:
            raise InvariantError("offers are wanted while there is nothing to do")

    def _alive_on_record(self) -> set[str]:
        return {task.id for task in self.disk.durable.tasks.values() if not task.state.ended}

    def _may_return(self) -> bool:
        """Whether something on record may be asked about, or come back.

        It is on an agent that the master doesn't know, on a machine that is away, or hangs while it stops.
        """
        if len(self._machines_there()) < len(self._machines):
            return True
        standing = self.wire.master.standing
        return any(
            task.stopping or standing[task.agent_id] in (Standing.FORGOTTEN, Standing.REMOVED)
            for task in self.disk.durable.tasks.values()
            if task.present
        )

    def containers(self, service: str) -> list[Container]:
        """The containers of a service that Mesos can reach."""
        return [
            container
            for agent, container in self.wire.master.containers()
            if container.service == service and agent.up
        ]

    def _settled(self) -> bool:
        return next(iter(self._unsettled()), None) is None

    def _unsettled(self) -> Iterator[str]:
        """What is not as it is wished, or not known to everybody yet."""
        snapshot, master = self.controller.snapshot, self.wire.master
        shown = {view.name: view.converged for view in snapshot.services}
        wished = {service.name: service for service in self.config.services}
        yield from (f"{name} is not shown as converged" for name in wished if not shown.get(name))
        for agent in master.agents.values():
            if not agent.up and master.standing[agent.id] in (Standing.REGISTERED, Standing.RECOVERED):
                yield f"{agent.id} is away, and the master has not noticed"
            for one in agent.containers.values() if agent.up else ():
                if one.updates:
                    yield f"{one.id}: not all has been told"
                if one.alive and one.service not in wished:
                    yield f"{one.id} runs, and nobody wants it"
        runs = {container.id for _, container in master.containers()}
        for task in self.disk.durable.tasks.values():
            if task.present and task.id not in runs:
                yield f"{task.id} does not run, but is on record as {task.state.value}"
        for service in wished.values():
            containers = self.containers(service.name)
            expected = service.count
            if service.mode == "global":
                expected = self._hosts_for(service)
                yield from self._missing_machines()
            if len(containers) != expected:
                yield f"{service.name}: {len(containers)} of {expected} run"
            for one in containers:
                if not one.well or one.version != service.version:
                    yield f"{one.id} is {one.state}, healthy: {one.healthy}"

    def _hosts_for(self, service: Service) -> int:
        """On how many agents a service with mode "global" should run."""
        master = self.wire.master
        return sum(
            agent.up
            and master.knows(agent)
            and agent.id not in master.draining
            and not self.oracle.is_going(agent.id)
            and all(fits_beside(one, agent.machine.field(one.field), (), ()) for one in service.constraints)
            for agent in master.agents.values()
        )

    def _missing_machines(self) -> Iterator[str]:
        """Machines that are yet to come back: a service with mode "global" follows them."""
        there = self._machines_there()
        for machine in self._machines:
            if machine.hostname not in there and machine not in self.chaos.lost:
                yield f"{machine.hostname} is not back yet"

    def _machines_there(self) -> set[str]:
        master = self.wire.master
        known = (agent for agent in master.agents.values() if agent.up and master.knows(agent))
        return {agent.machine.hostname for agent in known}

    def _state(self) -> str:
        explained = {view.name: view.waiting for view in self.controller.snapshot.services}
        return f"{'; '.join(self._unsettled())}; it says {explained}"

    def tell(self) -> None:
        """Run the whole of it; a failure names the seed, and what happened last."""
        with self._told():
            self.run(TROUBLED_SECONDS)
            self.calm_down()
            self.finish()
            if self.fate.random.random() < _BAD_UPDATES:
                self.fail_an_update()

    def fail_an_update(self) -> None:
        """A broken image: the update stops, the old version serves, and the next good image is taken."""
        chance, before = self.fate.random, self.config
        candidates = [
            service for service in before.services if service.count and service.mode == "replicated"
        ]
        if not candidates:
            return
        old = chance.choice(candidates)
        back = chance.choice(("pause", "rollback"))
        self.fate.count(f"failing update: {back}")
        self.change(self.wishes.broken(before, old.name, back))
        end = self.fate.now + _FAILING_SECONDS
        while not self.oracle.stopped_updates:
            if self.fate.now >= end:
                raise InvariantError(f"the update does not stop: {self._state()}")
            self.run(1.0)
        self.run(_PROVING_SECONDS + 20)
        serving = [one for one in self.containers(old.name) if one.well and one.version == old.version]
        others = [one.id for one in self.containers(old.name) if one not in serving]
        if back == "rollback" and (len(serving) != old.count or others):
            raise InvariantError(f"{old.name} is not rolled back: {self._state()}")
        if len(serving) < old.count - old.unavailable or others:
            raise InvariantError(f"{old.name} is paused with {others}: {self._state()}")
        self.change(self.wishes.good())
        self.finish()

    def tell_rest(self) -> None:
        """Run what is left of a history without trouble."""
        with self._told():
            self.finish()

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            told = self.fate.told(NOW)
            raise InvariantError(f"{told}\n\nhistory {self.seed}: {type(error).__name__}: {error}") from error
        finally:
            self.close()


def _machine(number: int) -> Machine:
    return Machine(
        hostname=f"host-{number}",
        resources=Bundle(4000, 4_096_000, 10_000_000, _PORTS),
        attributes={"rack": f"r{number % 2}", "kind": "ssd" if number % 3 else "disk"},
        region="here",
        zone=f"z{number % 2}",
    )
