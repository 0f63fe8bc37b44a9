"""Turns a planned launch into what Mesos wants to be told: a v1 TaskInfo (include/mesos/v1/mesos.proto)."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from mesos_docker_scheduler.config import Fetch, HealthCheck, Port, Service, Volume
from mesos_docker_scheduler.exec_sessions import task_key
from mesos_docker_scheduler.planning.cluster import Launch

Message = dict[str, Any]

_NEVER = 2**32 - 1  # the largest that Mesos takes

NO_SECRETS: Mapping[str, str] = MappingProxyType({})


class TaskInfos:
    """Makes TaskInfos: what all instances of a service have in common is made once for each.

    `exec_secret`: what the keys are made of by which operators may run commands in instances.
    """

    def __init__(self, exec_secret: str = "") -> None:
        self._exec_secret = exec_secret
        self._common: dict[str, tuple[Service, Message]] = {}

    def make(self, task_id: str, launch: Launch, secrets: Mapping[str, str] = NO_SECRETS) -> Message:
        """The TaskInfo of one instance, for Mesos' Docker executor or its command executor.

        It shares parts with others and must not be changed. `secrets` has the values of the service's
        secrets by field. They travel in `data`, the one field that neither master nor agent shows or logs,
        and our executors put them where they belong. An agent would show an environment's values, even those
        of type SECRET, and a command's URIs to whoever asks for its executors.
        """
        known = self._common.get(launch.service.name)
        if known is None or known[0] is not launch.service:
            known = self._common[launch.service.name] = (launch.service, _common(launch.service))
        return _made(known[1], task_id, launch, secrets, task_key(self._exec_secret, task_id))


def _common(service: Service) -> Message:
    info: Message = {
        "name": service.name,
        "command": _command(service),
        "container": _docker(service) if service.containerizer == "docker" else _mesos(service),
        "kill_policy": {"grace_period": {"nanoseconds": round(service.kill_grace_seconds * 1e9)}},
        "labels": {
            "labels": [
                {"key": key, "value": value}
                for key, value in {
                    **service.labels,
                    "service": service.name,
                    "service_version": service.version,
                }.items()
            ]
        },
    }
    if service.health_check is not None:
        info["health_check"] = _health_check(service.health_check)
    info["discovery"] = {"visibility": "CLUSTER", "name": service.name}
    return info


def _made(
    common: Message, task_id: str, launch: Launch, secrets: Mapping[str, str], exec_key: str
) -> Message:
    info = {
        **common,
        "task_id": {"value": task_id},
        "agent_id": {"value": launch.agent_id},
        "resources": list(launch.resources),
    }
    if launch.service.containerizer == "docker":
        info["container"] = {
            **common["container"],
            "docker": _launched(common["container"]["docker"], launch),
        }
    else:
        own = [{"name": name, "value": value} for name, value in _own_variables(launch).items()]
        told = common["command"]["environment"]["variables"]
        info["command"] = {**common["command"], "environment": {"variables": [*own, *told]}}
    if launch.host_ports:
        info["discovery"] = {**common["discovery"], "ports": {"ports": _discovered(launch)}}
    check = launch.service.health_check
    if check is not None and check.port_name is not None:
        kind = check.protocol
        info["health_check"] = {
            **common["health_check"],
            kind: {**common["health_check"][kind], "port": _port_named(check.port_name, launch)},
        }
    data = _data(launch.service, secrets, exec_key)
    if data:
        info["data"] = base64.b64encode(json.dumps(data).encode()).decode()
    return info


def _launched(docker: Message, launch: Launch) -> Message:
    """With what only its launch knows."""
    made = {
        **docker,
        "parameters": [
            *({"key": "env", "value": f"{name}={value}"} for name, value in _own_variables(launch).items()),
            *docker["parameters"],
        ],
    }
    if "port_mappings" in docker:
        made["port_mappings"] = [
            {**mapping, "host_port": host_port}
            for mapping, host_port in zip(docker["port_mappings"], launch.host_ports, strict=True)
        ]
    return made


def _data(service: Service, secrets: Mapping[str, str], exec_key: str) -> Message:
    """What only the executor gets to see (packaging/mesos/libexec/common/task_data.hpp)."""
    start = "secrets."
    variables = {
        field.removeprefix(start): value for field, value in secrets.items() if field.startswith(start)
    }
    if service.containerizer == "mesos":
        # The agent would give them to the executor, too, as its own environment: and many a variable steers a
        # program, which may be root's.
        variables |= service.env
    uris = [
        {**_uri(fetch), "value": secrets[f"fetch[{index}].uri_secret"]}
        for index, fetch in enumerate(service.fetch)
        if fetch.uri_secret is not None
    ]
    parts = (("secrets", variables), ("fetch", uris), ("exec_key", exec_key))
    return {key: value for key, value in parts if value}


def _ports(launch: Launch) -> Iterator[tuple[Port, int]]:
    """The ports, and those of the host that stand for them."""
    return zip(launch.service.ports, launch.host_ports, strict=True)


def _own_variables(launch: Launch) -> dict[str, str]:
    """Where an instance is, which only its launch knows. What the operator calls the same is his."""
    values = {"HOST": launch.hostname}
    for index, (port, host_port) in enumerate(_ports(launch)):
        values[f"PORT{index}"] = str(host_port)
        if port.name is not None:
            values[f"PORT_{port.name.upper().replace('-', '_')}"] = str(host_port)
    given = launch.service.env.keys() | launch.service.secrets.keys()
    return {name: value for name, value in values.items() if name not in given}


def _discovered(launch: Launch) -> list[Message]:
    return [
        {"number": host_port, "protocol": port.protocol, **({} if port.name is None else {"name": port.name})}
        for port, host_port in _ports(launch)
    ]


def _port_named(name: str, launch: Launch) -> int:
    """A port as the executor finds it, inside the container's network."""
    port, host_port = next(pair for pair in _ports(launch) if pair[0].name == name)
    return host_port if launch.service.network == "host" else port.container_port


def _command(service: Service) -> Message:
    command: Message = {"shell": service.command is not None}
    if service.command is not None:
        command["value"] = service.command
    if service.args:
        command["arguments"] = list(service.args)
    uris = [{**_uri(fetch), "value": fetch.uri} for fetch in service.fetch if fetch.uri is not None]
    if uris:
        command["uris"] = uris
    if service.containerizer == "mesos":
        return {**command, **_command_of_mesos(service)}
    variables = [
        {"name": name, "type": "SECRET", "secret": {"type": "REFERENCE", "reference": {"name": name}}}
        for name in service.secrets
    ]
    if variables:
        command["environment"] = {"variables": variables}
    return command


def _command_of_mesos(service: Service) -> Message:
    """What Docker has options for."""
    command: Message = {"user": service.user, "environment": {"variables": []}}
    if service.entrypoint is not None:
        # The first argument is what the program finds as its name.
        command |= {"value": service.entrypoint, "arguments": [service.entrypoint, *service.args]}
    return command


def _uri(fetch: Fetch) -> Message:
    """All but the value."""
    message: Message = {"extract": fetch.extract, "executable": fetch.executable, "cache": fetch.cache}
    if fetch.output_file is not None:
        message["output_file"] = fetch.output_file
    return message


def _mesos(service: Service) -> Message:
    container: Message = {
        "type": "MESOS",
        "mesos": {},
        "volumes": [_volume(volume) for volume in service.volumes],
    }
    if service.image is not None:
        image = {"type": "DOCKER", "docker": {"name": service.image}, "cached": not service.force_pull}
        container["mesos"] = {"image": image}
    return container


def _docker(service: Service) -> Message:
    """All but the host ports."""
    docker: Message = {
        "image": service.image,
        "network": service.network.upper(),
        "privileged": service.privileged,
        "force_pull_image": service.force_pull,
        "parameters": _parameters(service),
    }
    if service.network in ("bridge", "user"):
        docker["port_mappings"] = [
            {"container_port": port.container_port, "protocol": port.protocol} for port in service.ports
        ]
    container: Message = {
        "type": "DOCKER",
        "docker": docker,
        "volumes": [_volume(volume) for volume in service.volumes],
    }
    if service.network_name is not None:
        container["network_infos"] = [{"name": service.network_name}]
    return container


def _parameters(service: Service) -> list[Message]:
    """What Mesos has no field for goes to Docker as its own options, before what the operator adds.

    So do environment variables: an agent gives those of a command to the executor, too, as its own
    environment, and PATH or SSL_ENABLED are not meant for that.
    """
    own: Message = {"entrypoint": service.entrypoint, "user": service.user}
    given = {item.key for item in service.parameters}
    if service.gpus and not given & {"gpus", "device", "runtime"}:
        own["gpus"] = str(service.gpus)
    return [
        *({"key": key, "value": value} for key, value in own.items() if value is not None),
        *({"key": "env", "value": f"{name}={value}"} for name, value in service.env.items()),
        *({"key": item.key, "value": item.value} for item in service.parameters),
    ]


def _volume(volume: Volume) -> Message:
    message: Message = {"container_path": volume.container_path, "mode": volume.mode.upper()}
    if volume.host_path is not None:
        message["host_path"] = volume.host_path
    else:
        message["source"] = {"type": "DOCKER_VOLUME", "docker_volume": {"name": volume.volume}}
    return message


def _health_check(check: HealthCheck) -> Message:
    message: Message = {
        "type": check.protocol.upper(),
        "delay_seconds": check.delay_seconds,
        "grace_period_seconds": check.grace_seconds,
        "interval_seconds": check.interval_seconds,
        "timeout_seconds": check.timeout_seconds,
        # Mesos' own executor takes 0 for 1.
        "consecutive_failures": check.max_consecutive_failures or _NEVER,
    }
    if check.protocol == "http":
        message["http"] = {"scheme": check.scheme, "port": check.port, "path": check.path}
    elif check.protocol == "tcp":
        message["tcp"] = {"port": check.port}
    else:
        message["command"] = {"shell": True, "value": check.command}
    return message
