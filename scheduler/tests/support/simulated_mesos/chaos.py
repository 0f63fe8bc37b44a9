"""What goes wrong, and what operators do to Mesos, while the scheduler works."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from simulated_mesos.agents import Agent, Container, Machine
from simulated_mesos.fate import Fate
from simulated_mesos.master import Standing
from simulated_mesos.wire import Wire


class Chaos:
    """Each method is one kind of misfortune; `strike` chooses one of them."""

    def __init__(self, fate: Fate, wire: Wire, machines: list[Machine]) -> None:
        self._fate = fate
        self._wire = wire
        self._master = wire.master
        self._machines = machines
        self.lost: list[Machine] = []
        self._kinds: tuple[tuple[int, Callable[[], None]], ...] = (
            (6, self.crash),
            (3, self.flip_health),
            (2, self.kill_from_outside),
            (4, self.partition),
            (4, self.heal),
            (1, self.heal_all),
            (2, self.reboot),
            (1, self.replace_agent),
            (1, self.mark_gone),
            (2, self.fail_over),
            (1, self.lose_registry),
            (3, self.disconnect),
            (2, self.drain),
            (2, self.reactivate),
            (2, self.announce),
            (2, self.fill_disk),
            (1, self.cancel),
        )
        self._weights = [weight for weight, _ in self._kinds]

    def strike(self) -> None:
        """Do one of them."""
        (_, strike) = self._fate.random.choices(self._kinds, self._weights)[0]
        name = strike.__name__.replace("_", " ")
        self._fate.log("chaos:", name)
        self._fate.count(name)
        strike()

    # Containers

    def crash(self) -> None:
        """A container ends by itself."""
        for agent, container in self._some_container():
            agent.become(
                container, "FAILED", reason="REASON_COMMAND_EXECUTOR_FAILED", message="exit status 1"
            )

    def flip_health(self) -> None:
        """A health check fails for a while, or until the executor gives up."""
        fate = self._fate
        for agent, container in self._some_container():
            if container.checked and container.healthy is True:
                agent.check(container, False)
                if fate.random.random() < 0.5:
                    fate.later(fate.between(1, 30), partial(agent.check, container, True))
                else:
                    fate.later(fate.between(5, 20), partial(agent.fail_check, container))

    def kill_from_outside(self) -> None:
        """Somebody stops a container with `docker stop`."""
        for agent, container in self._some_container():
            agent.become(container, "KILLED", reason="REASON_COMMAND_EXECUTOR_FAILED")

    def _some_container(self) -> list[tuple[Agent, Container]]:
        found = [pair for pair in self._master.containers() if pair[0].up]
        return [self._fate.random.choice(found)] if found else []

    # Agents

    def partition(self) -> None:
        """The master hears nothing of an agent, whose containers run on."""
        for agent in self._some_agent():
            self._master.partition(agent)

    def fill_disk(self) -> None:
        """An agent's disk is full for a while: nothing starts there, what runs goes on."""
        for agent in self._some_agent():
            agent.full = True
            self._fate.later(self._fate.between(10, 200), partial(setattr, agent, "full", False))

    def heal(self) -> None:
        """An agent reaches the master again."""
        away = [agent for agent in self._master.agents.values() if not agent.up and not agent.dead]
        if away:
            self._come_back(self._fate.random.choice(away))

    def heal_all(self) -> None:
        """All agents reach the master again."""
        for agent in list(self._master.agents.values()):
            if not agent.up and not agent.dead:
                self._come_back(agent)

    def _come_back(self, agent: Agent) -> None:
        fate = self._fate
        agent.up = True
        fate.later(fate.between(0.1, 5), partial(self._reach, agent))

    def _reach(self, agent: Agent) -> None:
        self._master.reach(agent)
        if agent.dead:
            self._fate.later(self._fate.between(1, 20), partial(self._new_agent, agent.machine))

    def reboot(self) -> None:
        """A machine restarts: its containers end, and its slave comes back under the old id."""
        for agent in self._some_agent():
            agent.die()
            agent.draining = False
            self._fate.later(75, partial(self._master._give_up, agent))
            self._fate.later(self._fate.between(10, 150), partial(self._come_back, agent))

    def replace_agent(self) -> None:
        """A machine restarts, and its slave has forgotten who it was."""
        for agent in self._some_agent():
            self._burn(agent)

    def _burn(self, agent: Agent) -> None:
        agent.die()
        agent.dead = True
        self._fate.later(self._fate.between(5, 60), partial(self._new_agent, agent.machine))

    def mark_gone(self) -> None:
        """An operator gives up an agent, perhaps one that only is away."""
        agents = [agent for agent in self._master.agents.values() if not agent.dead]
        if agents:
            away = [agent for agent in agents if not agent.up]
            agent = self._fate.random.choice(away or agents)
            self._master.mark_gone(agent)
            if agent.dead:
                self._fate.later(self._fate.between(5, 60), partial(self._new_agent, agent.machine))

    def _new_agent(self, machine: Machine) -> None:
        if not any(agent.machine is machine and not agent.dead for agent in self._master.agents.values()):
            self._master.add(machine)

    def _some_agent(self) -> list[Agent]:
        found = [agent for agent in self._master.agents.values() if agent.up and not agent.dead]
        return [self._fate.random.choice(found)] if found else []

    # Masters

    def fail_over(self) -> None:
        """Another master leads."""
        self._wire.fail_over()

    def lose_registry(self) -> None:
        """The registry is set aside: slaves register with the new master soon, late, or never.

        Not while a scheduler without a store looks for its framework: what nobody knows of, none can find.
        """
        if self._wire.framework_id is not None:
            self._wire.fail_over(registry_lost=True)
        fate = self._fate
        for agent in [agent for agent in self._master.agents.values() if not agent.dead]:
            luck = fate.random.random()
            if luck < 0.1:
                self._burn(agent)
            elif agent.up:
                seconds = fate.between(0.5, 40) if luck < 0.8 else fate.between(40, 900)
                fate.later(seconds, partial(self._master.reach, agent))

    def disconnect(self) -> None:
        """The connection breaks."""
        self._wire.lose()

    # Operators

    def drain(self) -> None:
        """DRAIN_AGENT, undone after a while."""
        for agent in self._some_agent():
            self._master.drain(agent)
            self._fate.later(self._fate.between(10, 120), partial(self._master.reactivate, agent))

    def reactivate(self) -> None:
        """REACTIVATE_AGENT."""
        for agent in self._master.agents.values():
            self._master.reactivate(agent)

    def announce(self) -> None:
        """Maintenance, which then begins, or is cancelled, or passes without anything; or is weeks away."""
        fate = self._fate
        machine = fate.random.choice(self._machines)
        if machine.hostname in self._master.maintenance:
            return
        ahead, lasts = fate.between(5, 60), fate.between(20, 100)
        if fate.random.random() < 0.2:
            begins = fate.now + fate.between(1, 40) * 86_400
            self._master.announce(machine, begins, begins + lasts)
            fate.later(ahead + lasts, partial(self._master.cancel, machine))
            return
        self._master.announce(machine, fate.now + ahead, fate.now + ahead + lasts)
        if fate.random.random() < 0.6:
            fate.later(ahead, partial(self._switch_off, machine, lasts))
        else:
            fate.later(ahead + lasts, partial(self._master.cancel, machine))

    def _switch_off(self, machine: Machine, lasts: float) -> None:
        if machine.hostname not in self._master.maintenance:
            return
        for agent in list(self._master.agents.values()):
            if agent.machine is machine and not agent.dead:
                self._master.remove(agent, "machine is down")
        self._fate.later(lasts, partial(self._switch_on, machine))

    def _switch_on(self, machine: Machine) -> None:
        self._master.cancel(machine)
        self._new_agent(machine)

    def cancel(self) -> None:
        """An operator thinks better of it."""
        for machine in self._machines:
            running = any(
                agent.machine is machine and not agent.dead for agent in self._master.agents.values()
            )
            if running:
                self._master.cancel(machine)

    # The end of all trouble

    def calm_down(self, away: int = 0) -> None:
        """Make everything good, except that so many machines never come back."""
        self._fate.trouble = 0.0
        self.reactivate()
        self.lost = self._fate.random.sample(self._machines, away)
        for machine in self._machines:
            self._master.cancel(machine)
            own = [agent for agent in self._master.agents.values() if agent.machine is machine]
            if machine in self.lost:
                for agent in own:
                    if agent.up:
                        self._master.partition(agent)
                continue
            for agent in own:
                if not agent.dead and not agent.up:
                    self._come_back(agent)
            if all(agent.dead for agent in own):
                self._fate.later(self._fate.between(1, 10), partial(self._new_agent, machine))


def registered(wire: Wire) -> list[Agent]:
    """The agents that the master counts on."""
    master = wire.master
    return [agent for agent in master.agents.values() if master.standing[agent.id] is Standing.REGISTERED]
