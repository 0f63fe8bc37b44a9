"""Print the path of the official Mesos artifact, after checking it; download it first where needed.

Apache Mesos publishes its native scheduler driver, which contains all of libmesos, as a `bdist_dumb`
archive. pip finds such a file but will not hand it over, so this program asks pip for its configuration
(indexes, find-links, proxy, certificates, credentials), reads the project's index page (PEP 503), and
downloads the one file it knows.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import tempfile
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from optparse import Values

    from pip._internal.cli.req_command import RequirementCommand
    from pip._internal.network.session import PipSession

PROJECT = "mesos-scheduler"
FILE_NAME = "mesos.scheduler-1.11.0.linux-x86_64.tar.gz"
SHA256 = "1d376f20bca6d05ee8b90c1c123a452b28753497ccc2f1c80ea3ac94c12e8f6e"


class FetchError(Exception):
    """The artifact can't be had; the message is complete for the operator."""


class _Links(HTMLParser):
    """Collects the targets of the anchors of an index page."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.targets += [value for name, value in attrs if name == "href" and value]


def artifact_links(page: str, page_url: str) -> list[str]:
    """Absolute URLs, without fragments, of those anchors of an index page that lead to the artifact."""
    links = _Links()
    links.feed(page)
    urls = [urldefrag(urljoin(page_url, target)).url for target in links.targets]
    return [url for url in urls if unquote(urlsplit(url).path).endswith("/" + FILE_NAME)]


def check(path: Path) -> None:
    """Raise FetchError unless the file at `path` is the official artifact."""
    try:
        with path.open("rb") as file:
            digest = hashlib.sha256()
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    except OSError as error:
        raise FetchError(f"cannot read the Mesos artifact {path}: {error.strerror}") from error
    if digest.hexdigest() != SHA256:
        raise FetchError(
            f"{path} is not the official Mesos artifact {FILE_NAME}: its sha256 is {digest.hexdigest()}, "
            f"it must be {SHA256}"
        )


def _from_indexes(target: Path) -> None:
    """Write the artifact to `target`, from the first of pip's configured sources that has it."""
    try:
        from pip._internal.commands import create_command  # noqa: PLC0415 # needed for nothing but this
    except ImportError as error:
        raise FetchError(
            f"{sys.executable} has no pip to find the Mesos artifact with: install pip, or set "
            f"MESOS_ARTIFACT to a copy of {FILE_NAME}"
        ) from error
    command = cast("RequirementCommand", create_command("download"))
    options, _ = command.parse_args([PROJECT])
    tried: list[str] = []
    with command.main_context():
        session = command.get_default_session(options)
        for url in _candidates(session, options, tried):
            with session.get(url, stream=True) as answer:
                answer.raise_for_status()
                with target.open("wb") as file:
                    for chunk in answer.iter_content(1 << 20):
                        file.write(chunk)
            return
    raise FetchError(
        f"the Mesos artifact {FILE_NAME} is in none of pip's package indexes ({'; '.join(tried)}): configure "
        "an index that has it (PIP_INDEX_URL, pip.conf), or set MESOS_ARTIFACT to a copy of the file"
    )


def _candidates(session: PipSession, options: Values, tried: list[str]) -> Iterator[str]:
    """URLs of the artifact in the find-links folders and on the indexes that pip is configured with."""
    for place in options.find_links:
        folder = Path(urlsplit(place).path if place.startswith("file:") else place)
        tried.append(f"{place}: not there")
        if (folder / FILE_NAME).is_file():
            yield (folder / FILE_NAME).resolve().as_uri()
    for index in [] if options.no_index else [options.index_url, *options.extra_index_urls]:
        page_url = f"{index.rstrip('/')}/{PROJECT}/" + ("index.html" if index.startswith("file:") else "")
        shown = urlsplit(index)._replace(netloc=urlsplit(index).netloc.rpartition("@")[2]).geturl()
        try:
            answer = session.get(page_url, headers={"Accept": "text/html"})
            answer.raise_for_status()
        except Exception as error:  # pip's and its transport's errors have no common base
            tried.append(f"{shown}: {error}")
            continue
        tried.append(f"{shown}: not there")
        yield from artifact_links(answer.text, answer.url)


def fetched(cache: Path) -> Path:
    """Path of the checked artifact in the folder `cache`; downloads it when it isn't there yet."""
    path = cache / FILE_NAME
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            download = Path(scratch) / FILE_NAME
            _from_indexes(download)
            check(download)
            download.replace(path)
    check(path)
    return path


def main() -> int:
    """Command line: `fetch.py [--artifact FILE]`; exit status 1 and a line on stderr without an artifact."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--artifact", type=Path, help="use this file and look nowhere else")
    given = parser.parse_args().artifact
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mesos-artifact"
    try:
        if given:
            check(given)
        print((given or fetched(cache)).resolve())
    except FetchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: cannot download the Mesos artifact: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
