"""Builds the directory of wheels that a target host installs the scheduler from, without an index of its own.

    python scheduler/wheelhouse/build.py --python-version 3.11 --output DIR
    # on the target, as Python 3.11 on x86_64 with glibc 2.35 or later:
    python3 -m venv VENV && VENV/bin/pip install --no-index --find-links DIR mesos-docker-scheduler

The scheduler, http-parser and pymesos (which exists as source only) are built here; everything else is
downloaded as the wheels whose checksums stand in requirements.txt. Three lines are printed: the directory,
`changed` or `unchanged`, and 12 hexadecimal digits that name what is in it.
"""

from __future__ import annotations

import argparse
import contextlib
import email
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import Version

HERE = Path(__file__).resolve().parent
SCHEDULER = HERE.parent
REQUIREMENTS = HERE / "requirements.txt"
OUR_SOURCES = (SCHEDULER, SCHEDULER / "http-parser")
ROOT_DISTRIBUTION = "mesos-docker-scheduler"
SOURCE_ONLY = "pymesos"
PYTHON_VERSIONS = ("3.10", "3.11", "3.12", "3.13")
MANIFEST = "wheelhouse.json"

_OLDEST_GLIBC_MINOR = 35  # glibc 2.35 of Ubuntu 22.04; Debian 12 has 2.36
_WHEEL_TIME = "315532800"  # 1980-01-01: the same sources give the same bytes
# What pip says when it can't reach its index; at times it is only "from versions: none".
_UNREACHABLE = re.compile(
    r"NewConnectionError|NameResolutionError|ConnectTimeout|ReadTimeout|ProxyError|SSLError|Max retries|"
    r"from versions: none"
)


class BuildError(Exception):
    """The wheelhouse can't be built; the text is for the operator."""


@dataclass(frozen=True)
class Wheel:
    """A wheel file and what its METADATA says."""

    path: Path
    name: str
    version: Version
    requirements: tuple[Requirement, ...]

    @classmethod
    def read(cls, path: Path) -> Wheel:
        """Read name, version and requirements."""
        name, version, _, _ = parse_wheel_filename(path.name)
        with zipfile.ZipFile(path) as archive:
            member = next(entry for entry in archive.namelist() if entry.endswith(".dist-info/METADATA"))
            metadata = email.message_from_bytes(archive.read(member))
        requirements = tuple(Requirement(line) for line in metadata.get_all("Requires-Dist", []))
        return cls(path, name, version, requirements)


def source_files(directory: Path) -> list[Path]:
    """Return what a distribution is built from: pyproject.toml, README.md, src/ without what tools left."""
    files = [path for path in (directory / "pyproject.toml", directory / "README.md") if path.is_file()]
    files += [
        path
        for path in (directory / "src").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and ".egg-info" not in str(path)
    ]
    return sorted(files)


def fingerprint(python_version: str) -> str:
    """Return a checksum of everything that the wheelhouse is made from."""
    digest = hashlib.sha256(python_version.encode())
    sources = [file for source in OUR_SOURCES for file in source_files(source)]
    for path in [Path(__file__).resolve(), REQUIREMENTS, *sources]:
        digest.update(f"\0{path.relative_to(SCHEDULER)}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def sha256(path: Path) -> str:
    """Return a file's checksum."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def is_current(output: Path, wanted: str) -> bool:
    """Whether `output` was built from the same and nothing in it was lost or altered since."""
    try:
        manifest = json.loads((output / MANIFEST).read_text())
        return bool(manifest["fingerprint"] == wanted) and all(
            sha256(output / name) == checksum for name, checksum in manifest["wheels"].items()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def name(output: Path) -> str:
    """Return what tells the wheels of a current `output` from all others."""
    wheels = json.loads((output / MANIFEST).read_text())["wheels"]
    return hashlib.sha256(json.dumps(wheels, sort_keys=True).encode()).hexdigest()[:12]


def in_cache(python_version: str) -> Path:
    """Return where the user's cache keeps the wheelhouse of the present sources, others' beside it."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "mesos-docker" / f"wheels-python{python_version}-{fingerprint(python_version)[:12]}"


def pip(*arguments: str | Path) -> None:
    """Run pip with its own configuration. BuildError: it failed."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *map(str, arguments)]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": _WHEEL_TIME, "PIP_NO_INPUT": "1"}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if run.returncode == 0:
        return
    output = run.stdout + run.stderr
    if _UNREACHABLE.search(output):
        raise BuildError(
            "the package index can't be reached, or it has not what is needed. `pip config list` shows which "
            "one pip uses; set its index-url, proxy or cert to what works here.\n" + _last_lines(output)
        )
    raise BuildError(f"pip {arguments[0]} failed:\n{_last_lines(output)}")


def _last_lines(output: str) -> str:
    lines = [line for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if "ERROR" in line] or lines
    return "\n".join(f"  {line}" for line in errors[-8:])


def target_options(python_version: str) -> list[str]:
    """Describe the target to pip download: CPython of that version on x86_64 with our oldest glibc."""
    platforms = [f"manylinux_2_{minor}_x86_64" for minor in range(_OLDEST_GLIBC_MINOR, 4, -1)]
    platforms += ["manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64"]
    abis = [f"cp{python_version.replace('.', '')}", "abi3", "none"]
    options = ["--implementation", "cp", "--python-version", python_version]
    for platform in platforms:
        options += ["--platform", platform]
    for abi in abis:
        options += ["--abi", abi]
    return options


def locked_requirements() -> dict[str, str]:
    """Return the lines of requirements.txt (with their checksums) by the distribution's name."""
    text = REQUIREMENTS.read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return {canonicalize_name(line.split("==")[0]): line for line in lines}


def download_wheels(python_version: str, directory: Path) -> None:
    """Download every locked wheel for the target. Which of them it needs is decided afterwards.

    pip would evaluate `python_version` markers for the Python that runs it, not for the target's.
    """
    lines = [line for name, line in locked_requirements().items() if name != SOURCE_ONLY]
    with _requirements_file(lines) as requirements:
        pip(
            "download", "--quiet", "--no-deps", "--require-hashes", "--only-binary=:all:",
            *target_options(python_version), "--dest", directory, "--requirement", requirements,
        )  # fmt: skip


def build_pymesos(directory: Path) -> None:
    """Build the wheel of the locked source distribution.

    --use-pep517: pip before 23.1 would otherwise want `wheel` to be installed here.
    """
    with _requirements_file([locked_requirements()[SOURCE_ONLY]]) as requirements:
        pip(
            "wheel", "--quiet", "--no-deps", "--require-hashes", f"--no-binary={SOURCE_ONLY}", "--use-pep517",
            "--wheel-dir", directory, "--requirement", requirements,
        )  # fmt: skip


@contextlib.contextmanager
def _requirements_file(lines: list[str]) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "requirements.txt"
        path.write_text("\n".join(lines) + "\n")
        yield path


def build_ours(directory: Path) -> None:
    """Build the wheels of this repository, from copies: setuptools would pick up what a build left there."""
    for source in OUR_SOURCES:
        with tempfile.TemporaryDirectory() as scratch:
            copy = Path(scratch) / source.name
            for file in source_files(source):
                target = copy / file.relative_to(source)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target)
            pip("wheel", "--quiet", "--no-deps", "--wheel-dir", directory, copy)


def needed_wheels(wheels: list[Wheel], python_version: str) -> list[Wheel]:
    """Return the wheels that the target needs. BuildError: one is missing or of a wrong version."""
    environment = {
        "python_version": python_version,
        "python_full_version": f"{python_version}.0",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "os_name": "posix",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_machine": "x86_64",
    }
    by_name = {wheel.name: wheel for wheel in wheels}
    needed: dict[str, Wheel] = {}
    waiting = [(Requirement(ROOT_DISTRIBUTION), "the target")]
    while waiting:
        requirement, requirer = waiting.pop()
        wheel = by_name.get(canonicalize_name(requirement.name))
        if wheel is None or not requirement.specifier.contains(wheel.version, prereleases=True):
            raise BuildError(
                f"{requirer} needs {requirement} on Python {python_version}, and requirements.txt "
                f"{'has no ' + requirement.name if wheel is None else f'has {wheel.version}'}; "
                "put it right in scheduler/constraints.txt and run scheduler/wheelhouse/lock.py"
            )
        if wheel.name in needed:
            continue
        needed[wheel.name] = wheel
        waiting += [
            (inner, wheel.name)
            for inner in wheel.requirements
            if inner.marker is None or inner.marker.evaluate({**environment, "extra": ""})
        ]
    return list(needed.values())


def build(python_version: str, directory: Path, wanted: str) -> None:
    """Fill an empty directory."""
    build_ours(directory)
    build_pymesos(directory)
    download_wheels(python_version, directory)
    needed = needed_wheels([Wheel.read(path) for path in directory.glob("*.whl")], python_version)
    for path in set(directory.iterdir()) - {wheel.path for wheel in needed}:
        path.unlink()
    manifest = {
        "fingerprint": wanted,
        "python_version": python_version,
        "wheels": {
            wheel.path.name: sha256(wheel.path) for wheel in sorted(needed, key=lambda wheel: wheel.name)
        },
    }
    (directory / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")


def replace(output: Path, new: Path) -> None:
    """Put `new` in the place of `output`; nobody sees a half-filled directory."""
    new.chmod(0o755)
    old = new.with_name(new.name + ".old")
    if output.exists():
        output.rename(old)
    new.rename(output)
    shutil.rmtree(old, ignore_errors=True)


def ensure(python_version: str, output: Path) -> bool:
    """Make `output` the wheelhouse of the present sources; return whether that changed it."""
    if (
        output.exists()
        and not (output / MANIFEST).is_file()
        and (not output.is_dir() or any(output.iterdir()))
    ):
        raise BuildError(f"--output: {str(output)!r} is no wheelhouse; name a directory that may be replaced")
    output.parent.mkdir(parents=True, exist_ok=True)
    with (output.parent / f".{output.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = fingerprint(python_version)
        if is_current(output, wanted):
            return False
        with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}.") as scratch:
            new = Path(scratch) / "wheels"
            new.mkdir()
            build(python_version, new, wanted)
            replace(output, new)
        return True


def main() -> int:
    """Run the command line; the exit code is 0, or 1 after a message on stderr."""
    parser = argparse.ArgumentParser(
        description="Build the wheels that a target host installs the scheduler from."
    )
    parser.add_argument(
        "--python-version", required=True, choices=PYTHON_VERSIONS, help="the target's Python"
    )
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("--output", type=Path, help="directory to fill; it is replaced as a whole")
    place.add_argument(
        "--cache",
        action="store_true",
        help="fill a directory in the user's cache, of a name that tells what the wheels are built from",
    )
    arguments = parser.parse_args()
    try:
        output = in_cache(arguments.python_version) if arguments.cache else arguments.output.absolute()
        changed = ensure(arguments.python_version, output)
    except (BuildError, OSError) as error:
        print(f"wheelhouse: {error}", file=sys.stderr)
        return 1
    print(output)
    print("changed" if changed else "unchanged")
    print(name(output))
    return 0


if __name__ == "__main__":
    sys.exit(main())
