"""Input that can't be used: which field, what its value is, and what is allowed."""

from __future__ import annotations

from fastapi.exceptions import RequestValidationError
from pydantic_core import ErrorDetails

from mesos_docker_scheduler.wording import excerpt

_WHERE = {"query": "query parameter ", "header": "header ", "path": "", "body": ""}


_NO_REVISION = 'the header If-Match is missing; it must be the service\'s ETag, such as "0123456789ab", or *'


def input_error(error: RequestValidationError) -> tuple[int, str]:
    """The status, and what is wrong with a request, a sentence for each mistake."""
    details = error.errors()
    if any(detail["loc"] == ("header", "If-Match") for detail in details):
        return 428, _NO_REVISION
    return 400, "; ".join(_sentence(detail) for detail in details)


def _sentence(detail: ErrorDetails) -> str:
    kind, location = detail["type"], detail["loc"]
    where = _WHERE.get(str(location[0]), "") + ".".join(str(part) for part in location[1:])
    if kind == "json_invalid":
        return f"the body is not JSON: {detail['ctx']['error']}"
    if location == ("body",):
        return "the body is missing" if kind == "missing" else "the body must be one JSON object"
    if kind == "missing":
        return f"{where}: is missing"
    if kind == "extra_forbidden":
        return f"{where}: is not a known key"
    must = detail["msg"][:1].lower() + detail["msg"][1:]
    return f"{where}: {excerpt(detail['input'])} is not allowed; {must.replace('input should', 'it must')}"
