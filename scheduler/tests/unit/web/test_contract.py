"""The API against its own description: schemathesis sends what it allows and what it forbids."""

from __future__ import annotations

import itertools
import time
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from mesos_docker_scheduler.web.bucket import Bucket
from scheduler_fakes import service
from site_fake import TOKEN, Site

SITE = Site(service(count=2), service(name="db", count=0))
SITE.run()
NAMES = itertools.cycle(["web", "db", "nothing"])
# 428 is what RFC 6585 has for a missing If-Match.
CONFIG = schemathesis.Config.from_dict({"checks": {"missing_required_header": {"expected-statuses": [428]}}})
schema = schemathesis.openapi.from_asgi("/v1/openapi.json", SITE.app, config=CONFIG)
# Streams never end by themselves: test_streams reads them.
described = schema.exclude(path="/v1/watch").exclude(path="/v1/events/stream")


@pytest.fixture(autouse=True)
def alive_and_without_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    SITE.alive_at = time.monotonic()
    monkeypatch.setattr(Bucket, "wait", lambda self, client: 0.0)


@described.parametrize()
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_answers_are_as_described(case: Any) -> None:
    case.headers["Authorization"] = f"Bearer {TOKEN}"
    if "If-Match" in case.headers:
        case.headers["If-Match"] = "*"
    if "name" in case.path_parameters:
        case.path_parameters["name"] = next(NAMES)
    case.call_and_validate()
    assert SITE.bench.controller.snapshot.problem is None
