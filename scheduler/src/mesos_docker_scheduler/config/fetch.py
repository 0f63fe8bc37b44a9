"""Files that are fetched for an instance before it starts."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, field_validator, model_validator

from mesos_docker_scheduler.config.sections import A_PATH, YES_OR_NO, AbsolutePath, Section

# An agent takes none with a quote or a backslash.
_URI = re.compile(r"[a-z][a-z0-9+.-]*://[^\s\x00'\\]+|/[^\x00\r\n'\\]*")
_A_URI = (
    'a URI, such as "https://host/app.tar.gz", or an absolute path, without any of @, ?, #, \' and \\: what'
    " may hold a secret belongs into a file that uri_secret names"
)
_A_NAME = 'the name of a file below the sandbox, such as "bin/app", without \' and \\'

CONFIDENTIAL = re.compile(r"(https?|ftps?)://[^\s/]\S*", re.IGNORECASE)
"""A URI that is fetched without being told to anybody; others are given to programs as their arguments."""
A_CONFIDENTIAL_URI = "an http, https, ftp or ftps URI"


class Fetch(Section):
    """A file that the slave puts into the sandbox before the instance starts."""

    uri: str | None = Field(default=None, title="where it is; everybody may see that", description=_A_URI)
    uri_secret: AbsolutePath | None = Field(
        default=None,
        title=(
            "instead of uri: the file on the scheduler's host that holds it, which nobody but the executor"
            " gets to see, as with secrets"
        ),
        description=A_PATH,
    )
    extract: bool = Field(
        default=True, title="whether an archive is unpacked into the sandbox", description=YES_OR_NO
    )
    executable: bool = Field(
        default=False,
        title="whether it is made executable, and not unpacked",
        description=YES_OR_NO,
    )
    cache: bool = Field(
        default=False,
        title="whether the slave keeps it for others that fetch the same URI; not with uri_secret",
        description=YES_OR_NO,
    )
    output_file: str | None = Field(
        default=None,
        title="what it is called in the sandbox, if not as in the URI; required with uri_secret",
        description=_A_NAME,
    )

    @field_validator("uri")
    @classmethod
    def _is_for_everybody(cls, value: str | None) -> str | None:
        if value is None:
            return value
        path = _local_path(value)
        if not _URI.fullmatch(value) or (
            re.search(r"[@?#]", value) if path is None else not path.startswith("/")
        ):
            raise ValueError(f"must be {_A_URI}")
        return value

    @field_validator("output_file")
    @classmethod
    def _is_in_the_sandbox(cls, value: str | None) -> str | None:
        if value is not None and not _names_a_file(value):
            raise ValueError(f"must be {_A_NAME}")
        return value

    @model_validator(mode="after")
    def _has_one_source(self) -> Fetch:
        if self.uri is None and self.uri_secret is None:
            raise ValueError(f"uri: is missing; it must be {_A_URI}")
        if self.uri is not None and self.uri_secret is not None:
            raise ValueError("uri_secret: is not allowed together with uri; a file has one source")
        if self.uri_secret is not None and self.cache:
            raise ValueError(
                "cache: true is not allowed with uri_secret; the slave finds files in its cache by their"
                " URIs, and does not get to see this one"
            )
        if self.uri_secret is not None and self.output_file is None:
            raise ValueError(f"output_file: is missing; with uri_secret it must be {_A_NAME}")
        if not _names_a_file(self.file):
            raise ValueError(
                f"output_file: is missing; as the URI ends with no name for the file, it must be {_A_NAME}"
            )
        return self

    @property
    def file(self) -> str:
        """What it is called in the sandbox."""
        return self.output_file if self.output_file is not None else (self.uri or "").rpartition("/")[2]

    @property
    def host_path(self) -> str | None:
        """The file of the slave that is copied, if it is one."""
        return None if self.uri is None else _local_path(self.uri)


def _local_path(uri: str) -> str | None:
    """Where mesos-fetcher looks for it, which decodes nothing."""
    if not uri.startswith("file://"):
        return uri if uri.startswith("/") else None
    path = uri.removeprefix("file://")
    return path.removeprefix("localhost") if path.startswith("localhost/") else path


def _names_a_file(path: str) -> bool:
    """As mesos-fetcher sees it: nothing outside the sandbox, and no file of the agent's own."""
    parts = path.split("/")
    return (
        not any(part in ("", ".", "..") for part in parts)
        and not re.search(r"[\x00'\\]", path)
        and parts[0].partition(".")[0] not in ("stdout", "stderr")
    )


def _short_form(value: Any) -> Any:
    return {"uri": value} if isinstance(value, str) else value


FetchOrUri = Annotated[Fetch, BeforeValidator(_short_form)]
"""A text alone is a URI."""
