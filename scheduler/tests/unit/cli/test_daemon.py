"""The command line, as far as it goes without Mesos; the integration tests have the rest."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mesos_docker_scheduler import __version__, cli, teardown
from mesos_docker_scheduler.cli import tutorial
from mesos_docker_scheduler.cli.console import farewell, print_event
from mesos_docker_scheduler.config.framework import Tls
from mesos_docker_scheduler.control.principal import RECORD
from mesos_docker_scheduler.control.recovery import BEGIN_ANEW
from mesos_docker_scheduler.exits import EXIT_CONFIG, EXIT_STORE, SchedulerError
from mesos_docker_scheduler.observability.snapshot import ConfigView, ServiceView, Snapshot
from mesos_docker_scheduler.process import Source
from mesos_docker_scheduler.records.desired import Desired
from mesos_docker_scheduler.records.overrides import Override
from mesos_docker_scheduler.records.store import Change, Event, SqliteStore
from mesos_docker_scheduler.records.tasks import Task
from scheduler_fakes import service, task


def written(folder: Path, **changes: Any) -> Path:
    path = folder / "config.json"
    wish = {
        "master": "127.0.0.1:1",
        "http": None,
        "state_dir": str(folder / "state"),
        "services": [{"name": "web", "image": "demo/web:1"}],
    }
    path.write_text(json.dumps({**wish, **changes}))
    return path


def test_secrets_may_be_on_another_host(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    service = {"name": "web", "image": "i", "secrets": {"TOKEN": str(tmp_path / "token")}}
    path = written(tmp_path, services=[service])
    assert cli.main(["check-config", str(path)]) == 1
    assert "services[0].secrets.TOKEN: " in capsys.readouterr().err
    assert cli.main(["check-config", "--without-secrets", str(path)]) == 0


def test_tells_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"mesos-docker-scheduler {__version__}\n"


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    text = capsys.readouterr().out
    for words in ("MASTER IMAGE COUNT", *cli._COMMANDS):
        assert words in text


def test_starts_by_hand_in_a_secured_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {name: tmp_path / name for name in ("secret", "ca", "cert", "key")}
    for file in files.values():
        file.write_text("x")
    found: list[Source] = []

    def serve(source: Source, _: object) -> None:
        found.append(source)
        raise SchedulerError(EXIT_STORE, "that is all")

    monkeypatch.setattr(tutorial, "serve", serve)
    monkeypatch.chdir(tmp_path)
    options = ("--secret-file=secret", "--ca-file=ca", "--cert-file=cert", "--key-file=key")
    words = ["127.0.0.1:1", "demo/web:1", "2", f"--state-dir={tmp_path / 'state'}", "--principal=me"]
    assert cli.main([*words, *options]) == EXIT_STORE
    config = found[0].config
    assert (config.framework.principal, config.framework.secret_file) == ("me", str(files["secret"]))
    assert config.tls == Tls(
        ca_file=str(files["ca"]), cert_file=str(files["cert"]), key_file=str(files["key"])
    )
    assert cli.main(words) == EXIT_STORE
    assert not found[1].config.tls.model_fields_set, "who says nothing of TLS speaks plain text"


def test_without_words_it_tells_how_to_use_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    assert "Usage: mesos-docker-scheduler" in capsys.readouterr().out


@pytest.mark.parametrize("command", cli._COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([command, "--help"]) == 0
    assert f"Usage: mesos-docker-scheduler {command}" in capsys.readouterr().out


def test_wrong_words_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["scale", "web", "two"]) == 2
    assert "'two' is not a valid integer" in capsys.readouterr().err


def test_a_good_file_is_called_good(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check-config", str(written(tmp_path))]) == 0
    assert "good, with 1 service" in capsys.readouterr().out


def test_a_bad_file_gives_one_line_for_each_problem(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, log_level="loud", htpp={})
    assert cli.main(["check-config", str(path)]) == 1
    assert [line.split(":")[0] for line in capsys.readouterr().err.splitlines()] == ["log_level", "htpp"]


@pytest.mark.parametrize("command", ["check-config", "status", "reset", "wait"])
def test_what_playbooks_call_does_not_wait_for_the_web_framework(command: str) -> None:
    code = f"import sys; from mesos_docker_scheduler import cli; cli.main(['{command}', '--help'])"
    asked = [sys.executable, "-c", f"{code}; sys.exit('fastapi' in sys.modules)"]
    assert subprocess.run(asked, stdout=subprocess.DEVNULL, check=False).returncode == 0


def test_run_refuses_a_bad_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "--config", str(written(tmp_path, log_level="loud"))]) == EXIT_CONFIG
    assert "log_level" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["m1", "demo/web:1", "2"], "MASTER: the value (not shown, it may hold a secret) is not allowed"),
        (["m1:5050", "demo web", "2"], 'IMAGE: "demo web" is not allowed'),
        (["m1:5050", "demo/web:1", "-1"], "COUNT: -1 is not allowed; it must be a whole number from 0"),
        (["m1:5050", "demo/web:1", "2", "--mem", "1"], "--mem: 1.0 is not allowed"),
        (["m1:5050", "demo/web:1", "2", "--name", "A"], '--name: "A" is not allowed'),
        (["m1:5050", "demo/web:1", "2", "--http-port", "99999"], "--http-port: 99999 is not allowed"),
    ],
)
def test_errors_speak_the_words_of_the_command_line(
    words: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(words) == EXIT_CONFIG
    assert problem in capsys.readouterr().err


def test_a_state_folder_that_can_not_be_made_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    words = ["m1:5050", "demo/web:1", "2", "--state-dir", str(tmp_path / "file" / "state")]
    assert cli.main(words) == EXIT_STORE
    assert "--state-dir" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("image", "name"),
    [("nginx", "nginx"), ("registry:5000/demo/web:1", "web"), ("a/B_c@sha256:00", "b-c"), ("_", "app")],
)
def test_the_name_comes_from_the_image(image: str, name: str) -> None:
    assert tutorial._name_from(image) == name


def test_each_master_and_name_has_a_state_folder_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/s")
    folder = tutorial._default_state_dir("zk://user:secret@z1:2181,z2:2181/mesos", "web")
    assert folder == Path("/s/mesos-docker-scheduler/zk-z1-2181-z2-2181-mesos-web")


def remember_a_framework(folder: Path) -> None:
    store = SqliteStore(folder / "state")
    store.commit(Change("framework", tasks={"1": task("1", service())}))
    store.close()


def test_teardown_asks_for_yes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    remember_a_framework(tmp_path)
    assert cli.main(["teardown", "--config", str(written(tmp_path))]) == 2
    assert "would end framework framework and kill its 1 tasks: add --yes" in capsys.readouterr().out


def test_teardown_of_nothing_is_done_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["teardown", "--config", str(written(tmp_path)), "--yes"]) == 0
    assert "nothing to end" in capsys.readouterr().out


def test_teardown_refuses_while_the_scheduler_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    running = SqliteStore(tmp_path / "state")
    assert cli.main(["teardown", "--config", str(written(tmp_path)), "--yes"]) == EXIT_STORE
    assert "stop the scheduler first" in capsys.readouterr().err
    running.close()


def test_teardown_gives_up_on_a_master_that_is_not_there_and_forgets_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    remember_a_framework(tmp_path)
    monkeypatch.setattr(teardown, "_ANSWER_SECONDS", 0.3)
    assert cli.main(["teardown", "--config", str(written(tmp_path)), "--yes"]) != 0
    assert "no master has answered" in capsys.readouterr().err
    store = SqliteStore(tmp_path / "state")
    assert store.load().framework_id == "framework"
    store.close()


def test_teardown_says_whose_framework_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    remember_a_framework(tmp_path)
    store = SqliteStore(tmp_path / "state")
    store.commit(Change(records={RECORD: "somebody"}))
    store.close()
    secret = tmp_path / "secret"
    secret.write_text("x")
    framework = {"principal": "another", "secret_file": str(secret)}
    path = written(tmp_path, framework=framework)
    assert cli.main(["teardown", "--config", str(path), "--yes"]) == EXIT_CONFIG
    assert "was registered with the principal 'somebody'" in capsys.readouterr().err


def adopted(folder: Path) -> str | None:
    store = SqliteStore(folder / "state")
    found = store.load()
    store.close()
    return "new" if BEGIN_ANEW in found.records else found.framework_id


def test_adopt_says_which_framework_is_ours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = str(written(tmp_path))
    assert cli.main(["adopt", "--config", config, "--new"]) == 0
    assert adopted(tmp_path) == "new"
    assert cli.main(["adopt", "--config", config, "--framework", "f-1"]) == 0
    assert adopted(tmp_path) == "f-1"
    assert "goes on as framework f-1" in capsys.readouterr().out
    assert cli.main(["adopt", "--config", config, "--framework", "f-2"]) == 0
    assert adopted(tmp_path) == "f-2"
    assert cli.main(["adopt", "--config", config, "--new"]) == EXIT_STORE
    assert "framework f-2 is on record: move the file away" in capsys.readouterr().err


def test_adopt_does_not_give_up_a_framework_that_has_tasks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    remember_a_framework(tmp_path)
    config = str(written(tmp_path))
    for choice in (["--new"], ["--framework", "f-2"]):
        assert cli.main(["adopt", "--config", config, *choice]) == EXIT_STORE
        assert "framework framework and its 1 tasks, which nobody would look after" in capsys.readouterr().err
    assert adopted(tmp_path) == "framework"


def test_adopt_refuses_while_the_scheduler_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    running = SqliteStore(tmp_path / "state")
    assert cli.main(["adopt", "--config", str(written(tmp_path)), "--new"]) == EXIT_STORE
    assert "stop the scheduler first" in capsys.readouterr().err
    running.close()


def snapshot(framework_id: str | None, *left: Task) -> Snapshot:
    wishes = Desired(service(count=2), Override("web"), None)
    web = ServiceView("web", "demo/web:1", "v", 2, len(left), 0, (), (), True, wishes, tasks=left)
    return Snapshot(0, framework_id, True, "m1:5050", ConfigView("sha", 0), (web,))


def test_says_what_it_leaves_running(capsys: pytest.CaptureFixture[str]) -> None:
    left = task("web.1", service(), container="mesos-x")
    farewell(snapshot("framework", left), "again", "stop", 604_800)
    assert capsys.readouterr().out.splitlines()[1:] == [
        "The scheduler has ended. 1 instance left running:",
        "  web.1  demo/web:1  on host-a, container mesos-x",
        "Mesos keeps framework framework for 7 days without a scheduler.",
        "Go on with them:  again",
        "Stop them all:    stop",
    ]


def test_says_that_nothing_was_started(capsys: pytest.CaptureFixture[str]) -> None:
    farewell(snapshot(None), "again", "stop", 604_800)
    assert "Nothing was started" in capsys.readouterr().out


def test_events_are_told_in_plain_words(capsys: pytest.CaptureFixture[str]) -> None:
    print_event(Event(0, "running", "runs on host-a", "web", "web.1"))
    print_event(Event(0, "foreign", "left alone", "", "x"))
    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith("Running  web.1: runs on host-a")
    assert second.endswith("Foreign: left alone")
