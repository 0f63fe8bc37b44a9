from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

Load = Callable[[str], ModuleType]
Options = dict[str, Any]

LOGS = {"log-driver": "json-file", "log-opts": {"max-size": "10m"}}
DEFAULTS = [{"live-restore": True}, LOGS]
ALL_DEFAULTS = {"live-restore": True, **LOGS}


@pytest.fixture(scope="session")
def plugin(load: Load) -> ModuleType:
    return load("plugins/filter/daemon_json.py")


@pytest.mark.parametrize(
    ("existing", "recorded", "wanted", "file"),
    [
        ({}, {}, {}, ALL_DEFAULTS),
        ({"data-root": "/srv"}, {}, {}, {"data-root": "/srv", **ALL_DEFAULTS}),
        ({"data-root": "/srv"}, {}, {"data-root": "/mnt"}, {"data-root": "/mnt", **ALL_DEFAULTS}),
        ({"debug": True}, {"debug": True}, {}, ALL_DEFAULTS),
        ({"debug": False}, {"debug": True}, {}, {"debug": False, **ALL_DEFAULTS}),
        ({"live-restore": False}, {}, {}, {"live-restore": False, **LOGS}),
        ({"live-restore": False}, {}, {"live-restore": True}, ALL_DEFAULTS),
        ({"log-driver": "journald"}, {}, {}, {"log-driver": "journald", "live-restore": True}),
        ({}, {}, {"log-driver": "local"}, {"log-driver": "local", "live-restore": True}),
        (LOGS, LOGS, {"log-driver": "local"}, {"log-driver": "local", "live-restore": True}),
        (ALL_DEFAULTS, {}, {}, ALL_DEFAULTS),
        (
            {"log-driver": "json-file", "log-opts": {"max-size": "5m"}},
            {"log-driver": "json-file", "log-opts": {"max-size": "5m"}},
            {},
            ALL_DEFAULTS,
        ),
    ],
    ids=[
        "empty-file",
        "the-hosts-stays",
        "variables-win",
        "wanted-no-more",
        "edited-since",
        "the-host-beats-a-default",
        "variables-beat-the-host",
        "options-of-another-log-driver",
        "log-driver-of-the-variables",
        "log-driver-was-the-roles",
        "written-before-there-were-records",
        "the-roles-default-has-changed",
    ],
)
def test_who_wins(
    plugin: ModuleType, existing: Options, recorded: Options, wanted: Options, file: Options
) -> None:
    assert plugin.merged_daemon_options(existing, recorded, wanted, DEFAULTS)["file"] == file


def test_a_default_gives_way_to_the_command_line(plugin: ModuleType) -> None:
    merged = plugin.merged_daemon_options({}, {}, {}, DEFAULTS, ["log-opt", "log-opts"])
    assert merged["file"] == merged["ours"] == {"live-restore": True}


keys = st.sampled_from(["debug", "labels", "live-restore", "log-driver", "log-opts", "data-root"])
options = st.dictionaries(keys, st.integers(0, 2))


@given(host=options, wanted=options)
def test_what_the_role_has_set_can_be_taken_back(plugin: ModuleType, host: Options, wanted: Options) -> None:
    first = plugin.merged_daemon_options(host, {}, wanted, DEFAULTS)
    assert first["ours"].items() >= wanted.items()
    assert plugin.merged_daemon_options(first["file"], first["ours"], wanted, DEFAULTS) == first
    after = plugin.merged_daemon_options(first["file"], first["ours"], {}, [])
    assert after["ours"] == {}
    assert after["file"] == {key: value for key, value in host.items() if key not in first["ours"]}


def state(options: Options, proxy: str = "") -> dict[str, Any]:
    return {"options": options, "proxy_sha256": proxy}


@pytest.mark.parametrize(
    ("applied", "current", "action"),
    [
        (state({"debug": True}), state({"debug": True}), "none"),
        (state({}), state({"debug": True}), "reload"),
        (state({"debug": False}), state({"debug": True}), "reload"),
        (state({"debug": True}), state({}), "restart"),
        (state({}), state({"debug": True, "data-root": "/srv"}), "restart"),
        (state({}), state({}, "a1"), "restart"),
        (None, state({}), "restart"),
    ],
    ids=["same", "new", "changed", "gone", "not-reloadable", "proxy", "unknown"],
)
def test_what_the_engine_is_told(plugin: ModuleType, applied: Any, current: Any, action: str) -> None:
    assert plugin.engine_action(applied, current, ["debug"]) == action
