"""The collection mesos_docker.cluster: what is in it, and that all of it is found where nothing else is."""

from __future__ import annotations

import ast
import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import installed_collection
import pytest
import tomllib
import yaml
from installed_collection import NAME, ROOT

Load = Callable[[str], ModuleType]

INVENTORY = """
all:
  hosts:
    m1:
    s1:
  children:
    zookeepers: {hosts: {m1: }}
    mesos_masters: {hosts: {m1: }}
    mesos_slaves: {hosts: {s1: }}
    schedulers: {hosts: {s1: }}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An inventory and the installed collection, nothing else."""
    folder = tmp_path_factory.mktemp("operator")
    installed_collection.install(folder)
    (folder / "hosts.yml").write_text(INVENTORY)
    return folder


@pytest.fixture(scope="module")
def installed(folder: Path) -> Path:
    return folder / "collections/ansible_collections/mesos_docker/cluster"


def playbook(folder: Path, *arguments: str) -> tuple[int, str]:
    """Run ansible-playbook; its output in one line."""
    exit_code, output = installed_collection.run(
        "ansible-playbook", "-i", "hosts.yml", *arguments, folder=folder
    )
    return exit_code, " ".join(output.split())


def tracked() -> list[str]:
    """Return the files of the repository, new ones included."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [path for path in listing.splitlines() if (ROOT / path).is_file()]


def test_every_playbook_is_complete(folder: Path, installed: Path) -> None:
    names = [f"{NAME}.{path.stem}" for path in sorted((installed / "playbooks").glob("*.yml"))]
    assert {f"{NAME}.site", f"{NAME}.verify"} <= set(names)
    exit_code, output = playbook(folder, "--syntax-check", *names)
    assert exit_code == 0, output


def test_its_checks_run(folder: Path) -> None:
    exit_code, output = playbook(folder, f"{NAME}.services", "-e", "scheduler_count=two")
    assert exit_code != 0
    assert "scheduler_count: 'two' is not allowed; it must be a whole number. (s1)" in output


def test_its_roles_and_their_filters_are_found(folder: Path) -> None:
    exit_code, output = playbook(
        folder, f"{NAME}.services", "-e", "zookeeper_address=10.0.0.1 cluster_security=false"
    )
    assert exit_code != 0
    assert "scheduler_image is empty and scheduler_services, too" in output


def test_an_address_that_nobody_knows_is_named(folder: Path) -> None:
    exit_code, output = playbook(folder, f"{NAME}.services")
    assert exit_code != 0
    assert "The address of m1 is not known here: run site.yml once, or set zookeeper_address." in output


def test_holds_what_deploying_needs_and_nothing_else(installed: Path) -> None:
    files = {str(path.relative_to(installed)) for path in installed.rglob("*") if path.is_file()}
    assert files - {"MANIFEST.json", "FILES.json"} <= set(tracked())
    assert {path.name for path in installed.iterdir()} == {
        "CHANGELOG.md",
        "FILES.json",
        "LICENSE",
        "MANIFEST.json",
        "README.md",
        "docs",
        "meta",
        "monitoring",
        "packaging",
        "playbooks",
        "plugins",
        "roles",
        "scheduler",
    }
    assert not [file for file in files if re.search(r"(^|/)(tests|bench|lab_)|\.egg-info", file)]


def test_its_programs_can_be_run(installed: Path) -> None:
    programs = [installed / path for path in tracked() if (ROOT / path).stat().st_mode & 0o100]
    assert programs
    assert [path for path in programs if path.exists() and not path.stat().st_mode & 0o100] == []


def test_one_version_everywhere(installed: Path) -> None:
    version = json.loads((installed / "MANIFEST.json").read_text())["collection_info"]["version"]
    scheduler = tomllib.loads((ROOT / "scheduler/pyproject.toml").read_text())["project"]["version"]
    newest = re.search(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    packed = re.findall(r"mesos_docker-cluster-(.*)\.tar\.gz", (ROOT / "README.md").read_text())
    assert newest
    assert {scheduler, newest[1], *packed} == {version}


# --- documentation --------------------------------------------------------------------------------------


def argument_names(plugin: Path) -> set[str]:
    """Return the names in the literal argument specification of a module or an action plugin."""
    for node in ast.walk(ast.parse(plugin.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        given = [word.value for word in node.keywords if word.arg == "argument_spec"]
        if isinstance(node.func, ast.Attribute) and node.func.attr == "validate_argument_spec":
            given = node.args[:1]
        for value in given:
            assert isinstance(value, ast.Dict), f"{plugin}: the specification is no literal"
            return {str(ast.literal_eval(key)) for key in value.keys if key}
    raise AssertionError(f"{plugin} has no argument specification")


def called_plugins() -> dict[str, Path]:
    """Return what tasks can call: the file with the code, by name."""
    files = [*(ROOT / "plugins/modules").glob("*.py"), *(ROOT / "plugins/action").glob("*.py")]
    return {path.stem: path for path in files}


def test_every_module_is_documented(folder: Path) -> None:
    plugins = called_plugins()
    exit_code, output = installed_collection.run(
        "ansible-doc", "--json", *(f"{NAME}.{name}" for name in plugins), folder=folder
    )
    assert exit_code == 0, output
    told = json.loads(output)
    for name, file in plugins.items():
        page = told[f"{NAME}.{name}"]
        assert page["doc"]["description"], name
        assert page["doc"]["options"].keys() == argument_names(file), name
        assert [task for task in yaml.safe_load(page["examples"]) if f"{NAME}.{name}" in task], name


# --- full names ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def filters(load: Load) -> set[str]:
    """The names of our filters."""
    files = (ROOT / "plugins/filter").glob("*.py")
    return {name for file in files for name in load(str(file.relative_to(ROOT))).FilterModule().filters()}


def short_names(text: str, called: set[str], filters: set[str]) -> Iterator[str]:
    """Yield the calls of our plugins by their short names in a playbook, tasks, variables or a template."""
    task = rf"^[ -]*(?:(?:local_)?action: *)?({'|'.join(called) or '(?!)'})(?::(?=\s)| *$)"
    filtered = rf"\|\s*({'|'.join(filters)})\b|\b(?:map|select|reject)\(\s*['\"]({'|'.join(filters)})['\"]"
    for match in (*re.finditer(task, text, re.MULTILINE), *re.finditer(filtered, text)):
        yield match[0].strip()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("- name: Look\n  look_at: {a: 1}\n", ["look_at:"]),
        ("  look_at: &anchor\n    a: 1\n", ["look_at: "]),
        ("- look_at:\n", ["- look_at:"]),
        ("- action: look_at\n", ["- action: look_at"]),
        ('x: "{{ hosts | places(1) }}"', ["| places"]),
        ("x: \"{{ hosts | map('places', 1) }}\"", ["map('places'"]),
        ("  a.b.look_at:\n    x: '{{ hosts | a.b.places | map(\"a.b.places\") }}'\n", []),
        ("look_at_me: '{{ x | places_of }}'\n# look_at: is our module\n", []),
    ],
)
def test_short_names_are_seen(text: str, found: list[str]) -> None:
    assert list(short_names(text, {"look_at"}, {"places"})) == [name.strip() for name in found]


def test_our_plugins_are_called_by_their_full_names(filters: set[str]) -> None:
    """In the repository Ansible might find a short name; in an installed collection it does not."""
    called = set(called_plugins())
    assert called
    assert filters
    files = [
        path for path in tracked() if path.endswith((".yml", ".j2")) and not path.startswith("monitoring/")
    ]
    # Variables have no tasks, and may have keys of any name.
    calls = {
        path: list(
            short_names((ROOT / path).read_text("utf-8"), set() if "/vars/" in path else called, filters)
        )
        for path in files
    }
    assert {path: found for path, found in calls.items() if found} == {}


def test_plugins_stand_in_one_folder() -> None:
    """A collection has plugins in plugins/ alone."""
    elsewhere = re.compile(r"(^|/)(library|module_utils|\w+_plugins)/")
    assert [path for path in tracked() if elsewhere.search(path) and not path.startswith("plugins/")] == []


def test_passwords_that_are_not_here_are_missed(folder: Path) -> None:
    exit_code, output = playbook(folder, f"{NAME}.services", "-e", "zookeeper_address=10.0.0.1")
    assert exit_code != 0
    assert "/secrets.yml does not exist. Bring it back, or set security_folder" in output
