"""What should run: what the file says, and what operators and the slaves that there are make of it."""

from __future__ import annotations

from collections.abc import Mapping

from mesos_docker_scheduler.config import Config, Service
from mesos_docker_scheduler.records.dependencies import Dependencies
from mesos_docker_scheduler.records.overrides import Override, Overrides
from mesos_docker_scheduler.records.rollout import Rollouts
from mesos_docker_scheduler.records.versions import Versions


class DesiredState:
    """`config` and `services` are what holds, `file_services` what the file says. `take` comes first.

    `secret_values`: what the file's secrets hold, by the path of their files.
    """

    def __init__(
        self, overrides: Overrides, rollouts: Rollouts, dependencies: Dependencies, versions: Versions
    ) -> None:
        self._overrides = overrides
        self._rollouts = rollouts
        self._dependencies = dependencies
        self._versions = versions
        self._hosts: Mapping[str, int] = {}

    def take(self, config: Config) -> list[Override]:
        """Take over a new configuration; returns the operators' counts that are void by it."""
        services = tuple(self._under_its_name(service) for service in config.services)
        self.file_config = config.model_copy(update={"services": services})
        self.file_services = {service.name: service for service in services}
        self.secret_values = {
            path: value for service in services for path, value in service.secret_values.items()
        }
        void = self._overrides.give_way(services)
        self._dependencies.learn(services)
        self.apply()
        return void

    def apply(self) -> None:
        """Make anew what holds: an operator has asked for something."""
        config = self._overrides.applied_to(self.file_config)
        if any(service.mode == "global" for service in config.services):
            services = tuple(self._on_its_hosts(service) for service in config.services)
            config = config.model_copy(update={"services": services})
        self.config = config
        self.services = {service.name: service for service in config.services}

    def follow(self, hosts: Mapping[str, int]) -> bool:
        """Note on how many hosts each service with mode "global" should run; returns whether that is news."""
        if hosts == self._hosts:
            return False
        self._hosts = hosts
        self.apply()
        return True

    def configured(self, name: str) -> Service | None:
        """A service as it should run."""
        return self.services.get(name)

    def in_file(self, name: str) -> Service | None:
        """A service as the file has it."""
        return self.file_services.get(name)

    def refusals(self, service: Service) -> list[str]:
        """What a service asks for and may not have, as the file is now; older ones may have had it."""
        return self.config.allowed.refusals(service)

    def _on_its_hosts(self, service: Service) -> Service:
        return service.on_each_of(self._hosts.get(service.name, 0)) if service.mode == "global" else service

    def _under_its_name(self, service: Service) -> Service:
        """What an earlier release has started keeps its name for as long as it is made of the same."""
        rollout = self._rollouts.records.get(service.name)
        for version in (rollout.target, rollout.good, rollout.previous) if rollout is not None else ():
            if version is not None and service.is_made_as(
                version, self._versions.spec(service.name, version)
            ):
                return service.named(version)
        return service
