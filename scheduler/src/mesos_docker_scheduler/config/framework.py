"""Who we are to Mesos, how we speak to it, and where we answer."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from mesos_docker_scheduler.config.sections import (
    A_PATH,
    A_PORT,
    A_ROLE,
    SOME_TEXT,
    YES_OR_NO,
    AbsolutePath,
    HostName,
    PortNumber,
    Role,
    Seconds,
    Section,
    Text,
)


class Framework(Section):
    """Who we are to Mesos (FrameworkInfo)."""

    name: Text = Field(default="mesos-docker-scheduler", title="its name", description=SOME_TEXT)
    user: Text = Field(
        default="root",
        title="the user that owns the sandboxes",
        description="the name of the user that the tasks run as",
    )
    role: Role = Field(default="*", title="the role of all services that name none", description=A_ROLE)
    failover_timeout_seconds: Seconds = Field(
        default=604_800,
        title="how long the tasks outlive a scheduler that is gone",
        description="a number of seconds, 0 or more: how long the tasks outlive a scheduler that is gone",
    )
    principal: Text | None = Field(
        default=None,
        title="whom to authenticate as",
        description="the principal of the credential, or null",
    )
    secret_file: AbsolutePath | None = Field(
        default=None,
        title="what to authenticate with",
        description="the absolute path of a file with the secret, or null",
    )
    agent_secret_file: AbsolutePath | None = Field(
        default=None,
        title="what to show agents that demand a credential for the output of containers",
        description="the absolute path of a file with the secret, or null for that of secret_file",
    )
    hostname: Text | None = Field(
        default=None,
        title="the scheduler's host in Mesos' web page",
        description="the host name to tell Mesos, or null for this host's",
    )
    webui_url: str | None = Field(
        default=None,
        pattern=r"^https?://",
        title="where Mesos' web page links to",
        description="an http(s) URL, or null",
    )

    @model_validator(mode="after")
    def _credential_is_whole(self) -> Framework:
        if self.secret_file is not None and self.principal is None:
            raise ValueError("principal: is missing; secret_file needs it")
        if self.agent_secret_file is not None and self.principal is None:
            raise ValueError("principal: is missing; agent_secret_file needs it")
        return self


class Tls(Section):
    """How to speak TLS to the masters: paths of PEM files."""

    ca_file: AbsolutePath | None = Field(
        default=None,
        title="the authorities that sign the masters' certificates",
        description=f"{A_PATH}, or null for the system's authorities",
    )
    cert_file: AbsolutePath | None = Field(
        default=None, title="our certificate", description=f"{A_PATH}, or null"
    )
    key_file: AbsolutePath | None = Field(default=None, title="its key", description=f"{A_PATH}, or null")
    verify: bool = Field(default=True, title="whether to check the masters'", description=YES_OR_NO)


class HttpTls(Section):
    """The certificate that the web server shows: paths of PEM files."""

    cert_file: AbsolutePath = Field(
        title="its certificate, with those between it and its authority", description=A_PATH
    )
    key_file: AbsolutePath = Field(title="its key", description=A_PATH)


class Http(Section):
    """Where the status page, the metrics and the API are served."""

    bind: Text = Field(
        default="0.0.0.0",  # noqa: S104
        title="the address to listen on",
        description="an address of this host; 0.0.0.0 means all",
    )
    port: PortNumber = Field(default=8090, title="the port to listen on", description=A_PORT)
    token_file: AbsolutePath | None = Field(
        default=None,
        title='the file with the token "site", which may do everything',
        description=f"{A_PATH}, or null to let nobody change anything",
    )
    read: Literal["open", "token"] = Field(
        default="open",
        title="whether anybody may read, or only who has a token",
        description='"open" or "token"',
    )
    tls: HttpTls | None = Field(
        default=None,
        title="the certificate to speak TLS with; its files are read again when they change",
        description="a dictionary with cert_file and key_file, or null to speak plain HTTP",
    )
    allowed_hosts: tuple[HostName, ...] = Field(
        default=(),
        title=(
            "further names by which browsers may reach it, such as a proxy's; addresses and the host's own"
            " names are always allowed"
        ),
        description='a list of host names, such as "mesos.example.org"',
    )

    @model_validator(mode="after")
    def _can_be_read(self) -> Http:
        if self.read == "token" and self.token_file is None:
            raise ValueError('token_file: is missing; read "token" needs it')
        return self
