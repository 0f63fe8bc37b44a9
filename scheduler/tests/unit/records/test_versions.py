from __future__ import annotations

import pytest
from mesos_docker_scheduler.config import Service
from mesos_docker_scheduler.records import versions as module
from mesos_docker_scheduler.records.versions import Versions
from scheduler_fakes import service


def never(name: str, version: str) -> bool:
    return False


def web(number: int) -> Service:
    return service(image=f"demo/web:{number}")


def spec(number: int) -> str:
    return web(number).model_dump_json(exclude={"count", "constraints"})


def test_a_version_is_written_once() -> None:
    versions = Versions({})
    assert versions.put(web(1), never) == {("web", web(1).version): spec(1)}
    assert versions.put(web(1), never) == {}
    again = Versions({("web", web(1).version): spec(1)})
    assert again.put(web(1), never) == {}
    assert again.image("web", web(1).version) == "demo/web:1"
    assert again.spec("web", web(1).version) == spec(1)


def test_what_is_not_known_has_no_image() -> None:
    assert (Versions({}).image("web", "x"), Versions({}).spec("web", "x")) == ("", None)


def test_the_oldest_are_forgotten_but_for_those_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT", 3)
    versions, known = Versions({}), dict[tuple[str, str], str]()
    used = web(2).version
    for number in range(1, 9):
        for key, spec in versions.put(web(number), lambda _, version: version == used).items():
            if spec is None:
                del known[key]
            else:
                known[key] = spec
    assert list(known) == [("web", web(number).version) for number in (2, 6, 7, 8)]
    assert versions.image("web", used) == "demo/web:2"
    assert versions.image("web", web(3).version) == ""


def test_a_service_that_is_gone_leaves_nothing_but_what_still_runs() -> None:
    former, other = service(name="former"), service(name="other")
    versions = Versions({})
    for one in (former, other, web(1)):
        versions.put(one, never)
    changes = versions.forget_except(["web"], lambda name, _: name == "other")
    assert changes == {("former", former.version): None}
    assert versions.spec("former", former.version) is None
    assert versions.forget_except(["web"], never) == {("other", other.version): None}
    assert versions.forget_except(["web"], never) == {}
