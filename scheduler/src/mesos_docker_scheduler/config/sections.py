"""What all parts of the configuration are made of.

Every field's description completes the sentence "FIELD must be ..."; the errors are made from it. Its title
says what the field is for; the documentation is made from both.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WrapValidator

THOUSANDTHS = 1000
MOST_INSTANCES = 100_000
"""How many instances one service may have."""

HOST_AND_PORT = r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}"
"""A pattern; `check_ports` says what it can't."""

A_PATH = "an absolute path"
A_PORT = "a whole number from 1 to 65535"
SECONDS = "a number of seconds, 0 or more"
SOME_TEXT = "a text that is not empty"
YES_OR_NO = "true or false"
A_SHARE = f'a whole number from 0 to {MOST_INSTANCES}, or a share of count such as "25%"'


def _in_thousandths(value: float) -> float:
    if Decimal(str(value)) * THOUSANDTHS % 1:
        raise ValueError("must not have more than three decimal places, as Mesos counts in thousandths")
    return value


def check_ports(addresses: str) -> None:
    """See that each of host:port,... has a port that there is. ValueError says which one has not."""
    for address in addresses.split(","):
        port = int(address.rpartition(":")[2])
        if not 1 <= port <= 65_535:
            raise ValueError(f"must have ports from 1 to 65535, not {port}")


Amount = Annotated[float, Field(le=1e9, allow_inf_nan=False), AfterValidator(_in_thousandths)]
Seconds = Annotated[float, Field(ge=0, le=365 * 86_400, allow_inf_nan=False)]


def _some_or_share(value: object) -> object:
    if isinstance(value, bool) or not (
        (isinstance(value, int) and 0 <= value <= MOST_INSTANCES)
        or (isinstance(value, str) and re.fullmatch(r"(100|[1-9]?[0-9])%", value))
    ):
        raise ValueError(f"must be {A_SHARE}")
    return value


# One validator for both, so that there is one message for what is neither.
Share = Annotated[int | str, WrapValidator(lambda value, _: _some_or_share(value))]
PortNumber = Annotated[int, Field(ge=1, le=65_535)]
Text = Annotated[str, Field(min_length=1)]
AbsolutePath = Annotated[str, Field(pattern=r"^/[^\x00]*$")]
HostName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252})$")]
Role = Annotated[str, Field(pattern=r"^(\*|[^-.\s/\\*][^\s/\\*]*(/[^-.\s/\\*][^\s/\\*]*)*)$")]

A_ROLE = 'a Mesos role, such as "*", "web" or "web/frontend"'


def path_parts(path: str) -> tuple[str, ...]:
    """The components of an absolute path, as Docker cleans it; what is a symbolic link is not known."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return tuple(parts)


class Section(BaseModel):
    """One object of the file: strict, frozen, and without keys that nobody knows."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
