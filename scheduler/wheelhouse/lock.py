"""Writes requirements.txt: scheduler/constraints.txt with the checksums of the files that build.py may use.

    python scheduler/wheelhouse/lock.py

Run it after every change of constraints.txt. It downloads the files for each Python that a target may have.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from build import (
    PYTHON_VERSIONS,
    REQUIREMENTS,
    SCHEDULER,
    SOURCE_ONLY,
    BuildError,
    pip,
    sha256,
    target_options,
)
from packaging.utils import canonicalize_name, parse_sdist_filename, parse_wheel_filename

CONSTRAINTS = SCHEDULER / "constraints.txt"

_HEADER = """\
# Written by lock.py from scheduler/constraints.txt; not to be edited. Versions, and the checksums of the
# files that build.py may download: pymesos' source, and the wheels for x86_64 and each supported Python.
"""


def pins() -> list[str]:
    """Return the `name==version` lines of constraints.txt."""
    lines = [line.partition("#")[0].strip() for line in CONSTRAINTS.read_text().splitlines()]
    return [line for line in lines if line]


def distribution(path: Path) -> str:
    """Return the name of the distribution that a file holds."""
    if path.suffix == ".whl":
        return parse_wheel_filename(path.name)[0]
    return parse_sdist_filename(path.name)[0]


def main() -> int:
    """Download, compute, write."""
    wheels = [pin for pin in pins() if canonicalize_name(pin.split("==")[0]) != SOURCE_ONLY]
    source = [pin for pin in pins() if pin not in wheels]
    checksums: dict[str, set[str]] = {}
    try:
        with tempfile.TemporaryDirectory() as scratch:
            directory = Path(scratch)
            for version in PYTHON_VERSIONS:
                options = [*target_options(version), "--only-binary=:all:", "--dest", scratch]
                pip("download", "--quiet", "--no-deps", *options, *wheels)
            pip("download", "--quiet", "--no-deps", "--no-binary=:all:", "--dest", scratch, *source)
            for path in directory.iterdir():
                checksums.setdefault(distribution(path), set()).add(sha256(path))
    except BuildError as error:
        print(f"lock: {error}", file=sys.stderr)
        return 1
    lines = []
    for pin in pins():
        found = sorted(checksums[canonicalize_name(pin.split("==")[0])])
        lines.append(" \\\n".join([pin, *(f"    --hash=sha256:{checksum}" for checksum in found)]))
    REQUIREMENTS.write_text(_HEADER + "\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
