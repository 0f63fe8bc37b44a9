"""What services may ask of the slaves that they run on.

Docker gives power over a slave to whoever may choose which of its folders are mounted, or with which options
a container starts. So nothing of that is allowed unless it is named here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from mesos_docker_scheduler.config.sections import A_PATH, YES_OR_NO, AbsolutePath, Section, Text, path_parts
from mesos_docker_scheduler.config.service import Parameter, Service
from mesos_docker_scheduler.wording import excerpt

HARMLESS = frozenset(
    {
        "add-host",
        "cap-drop",
        "dns",
        "dns-opt",
        "dns-option",
        "dns-search",
        "domainname",
        "entrypoint",
        "hostname",
        "init",
        "read-only",
        "shm-size",
        "stop-signal",
        "stop-timeout",
        "tmpfs",
        "user",
        "workdir",
    }
)
"""Options of docker run that change nothing but the container itself; what `user` says is looked at, too.

Left out, although they look as harmless: env, env-file, label-file and cidfile are read or written by the
Docker client, with the executor's rights and environment; labels tell whose a container is.
"""

_NO_NEW_PRIVILEGES = frozenset({"no-new-privileges", "no-new-privileges=true", "no-new-privileges:true"})

_ParameterName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*(=[^\x00]*)?$")]


class HostPath(Section):
    """A folder or a file of the slaves that services may mount."""

    path: AbsolutePath = Field(title="the folder, or file", description=A_PATH)
    mode: Literal["ro", "rw"] = Field(
        default="ro", title="rw: services may write there, too", description='"ro" or "rw"'
    )
    below: bool = Field(
        default=False,
        title=(
            "whether all that is in the folder may be mounted as well; who may write there can make a"
            " symbolic link that leads out of it, and have that mounted"
        ),
        description=YES_OR_NO,
    )

    def covers(self, path: str, mode: str) -> bool:
        """Whether it lets a service have this folder or file of the host."""
        if mode == "rw" and self.mode == "ro":
            return False
        own, asked = path_parts(self.path), path_parts(path)
        return asked == own or (self.below and asked[: len(own)] == own)

    def __str__(self) -> str:
        return f"{self.path}{' and what is below' if self.below else ''} ({self.mode})"


class Allowed(Section):
    """What services may ask of the slaves that they run on."""

    privileged: bool = Field(
        default=False,
        title=(
            "whether they may be privileged, or have an image or the user root with containerizer"
            ' "mesos": each may be root on the slave'
        ),
        description=YES_OR_NO,
    )
    host_commands: bool = Field(
        default=False,
        title="whether they may run without an image, as commands that find all files of the slave's",
        description=YES_OR_NO,
    )
    host_network: bool = Field(
        default=False,
        title='whether they may have network "host": all that listens and passes there',
        description=YES_OR_NO,
    )
    host_paths: tuple[HostPath, ...] = Field(
        default=(), title="the folders and files that they may mount", description="a list of host paths"
    )
    parameters: tuple[_ParameterName, ...] = Field(
        default=(),
        title=(
            "the options of docker run that they may use: with any value, or only with this one; those that"
            " change nothing but the container itself need not be named"
        ),
        description='a list of options without dashes, such as "device" or "cap-add=NET_ADMIN"',
    )
    users: tuple[Text, ...] | None = Field(
        default=None,
        title=(
            "the users that they may run as, of which each must say one; a name is what the image makes of it"
        ),
        description='a list of users, such as "1000:1000", or null for any, and the image\'s own',
    )

    def refusals(self, service: Service) -> list[str]:
        """What a service asks for and may not have: a sentence each, which begins with the field."""
        return [
            f'{field}: {what} is not allowed for the service "{service.name}"; {instead}'
            for field, what, instead in self._refused(service)
        ]

    def _refused(self, service: Service) -> Iterator[tuple[str, str, str]]:
        if service.privileged and not self.privileged:
            yield "privileged", "true", "allowed.privileged is false"
        if service.containerizer == "mesos" and service.user == "root" and not self.privileged:
            yield (
                "user",
                '"root"',
                'with containerizer "mesos" it is root on the slave; allowed.privileged is false',
            )
        if service.containerizer == "mesos" and service.image is not None and not self.privileged:
            yield (
                "image",
                excerpt(service.image),
                'with containerizer "mesos" a program of it may become root on the slave;'
                " allowed.privileged is false",
            )
        if service.image is None and not self.host_commands:
            yield "image", "none", "allowed.host_commands is false"
        if service.network == "host" and not self.host_network:
            yield "network", '"host"', "allowed.host_network is false"
        for index, volume in enumerate(service.volumes):
            if volume.host_path is not None and not self._may_have(volume.host_path, volume.mode):
                what = f"{excerpt(volume.host_path)} ({volume.mode})"
                yield f"volumes[{index}].host_path", what, f"allowed.host_paths {_list(self.host_paths)}"
        for index, fetch in enumerate(service.fetch):
            if fetch.host_path is not None and not self._may_have(fetch.host_path, "ro"):
                yield (
                    f"fetch[{index}].uri",
                    excerpt(fetch.uri),
                    f"allowed.host_paths {_list(self.host_paths)}",
                )
        for index, parameter in enumerate(service.parameters):
            if not self._may_use(parameter):
                yield f"parameters[{index}]", self._shown(parameter), self._parameters()
        yield from self._refused_users(service)

    def _refused_users(self, service: Service) -> Iterator[tuple[str, str, str]]:
        if self.users is None:
            return
        given: list[tuple[str, str | None]] = [
            (f"parameters[{index}].value", parameter.value)
            for index, parameter in enumerate(service.parameters)
            if parameter.key == "user"
        ]
        for field, user in given or [("user", service.user)]:
            if user not in self.users:
                yield field, excerpt(user), f"allowed.users {_list(self.users)}"

    def _may_have(self, path: str, mode: str) -> bool:
        return any(allowed.covers(path, mode) for allowed in self.host_paths)

    def _may_use(self, parameter: Parameter) -> bool:
        if parameter.key == "security-opt" and parameter.value in _NO_NEW_PRIVILEGES:
            return True
        asked = parameter.key, f"{parameter.key}={parameter.value}"
        return parameter.key in HARMLESS or any(one in self.parameters for one in asked)

    def _shown(self, parameter: Parameter) -> str:
        """A parameter without its value, which may be a secret unless the list itself has values of it."""
        if any(one.startswith(f"{parameter.key}=") for one in self.parameters):
            return excerpt(f"{parameter.key}={parameter.value}")
        return excerpt(parameter.key)

    def _parameters(self) -> str:
        without = ", ".join(sorted(HARMLESS))
        return f"allowed.parameters {_list(self.parameters)}, and {without} need not be named"


def _list(entries: tuple[object, ...]) -> str:
    return f"names {', '.join(map(str, entries))}" if entries else "names none"
