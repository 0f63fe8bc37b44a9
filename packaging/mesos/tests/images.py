"""A Docker image for the Mesos containerizer: as an archive, and in a registry that speaks TLS."""

from __future__ import annotations

import hashlib
import io
import json
import ssl
import tarfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from mesos_testbed import Certificates

NAME, TAG = "demo/shell", "1"
CONFIG = {
    "Cmd": ["/bin/sh", "-c", "echo started by the image; sleep 1000"],
    "Env": ["FROM_IMAGE=yes", "PATH=/bin"],
}
MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"


def container(**fields: Any) -> dict[str, Any]:
    """A ContainerInfo with the image."""
    image = {"type": "DOCKER", "docker": {"name": f"{NAME}:{TAG}"}}
    return {"type": "MESOS", "mesos": {"image": image}, **fields}


def write_archive(folder: Path) -> None:
    """What `docker save` would write, where --docker_registry=FOLDER looks for it."""
    layer, layer_id = _layer()
    config = _config(layer_id)
    path = folder / f"{NAME}:{TAG}.tar"
    path.parent.mkdir(parents=True)
    names = {
        f"{layer_id}/VERSION": b"1.0",
        f"{layer_id}/json": _json(id=layer_id, created="2020-01-01T00:00:00Z", config=CONFIG),
        f"{layer_id}/layer.tar": layer,
        "config.json": config,
        "manifest.json": json.dumps(
            [{"Config": "config.json", "RepoTags": [f"{NAME}:{TAG}"], "Layers": [f"{layer_id}/layer.tar"]}]
        ).encode(),
        "repositories": _json(**{NAME: {TAG: layer_id}}),
    }
    with tarfile.open(path, "w") as tar:
        for name, content in names.items():
            _add(tar, name, content)


@contextmanager
def registry(certificates: Certificates) -> Iterator[str]:
    """A registry with the image; gives its URL."""
    layer, layer_id = _layer()
    config = _config(layer_id)
    manifest = _json(
        schemaVersion=2,
        mediaType=MANIFEST_TYPE,
        config=_described("application/vnd.docker.container.image.v1+json", config),
        layers=[_described("application/vnd.docker.image.rootfs.diff.tar", layer)],
    )
    answers = {
        "/v2/": ("application/json", b"{}"),
        f"/v2/{NAME}/manifests/{TAG}": (MANIFEST_TYPE, manifest),
        f"/v2/{NAME}/blobs/sha256:{layer_id}": ("application/octet-stream", layer),
        f"/v2/{NAME}/blobs/sha256:{_sha256(config)}": ("application/octet-stream", config),
    }
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(answers))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.certificate, certificates.key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"https://localhost:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def _handler(answers: Mapping[str, tuple[str, bytes]]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind, content = answers.get(self.path, ("", b""))
            self.send_response(200 if kind else 404)
            self.send_header("Content-Type", kind or "text/plain")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_request(self, *_: Any) -> None:
            """Say nothing."""

    return Handler


def _layer() -> tuple[bytes, str]:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for folder in ("bin", "etc", "tmp", "data"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        _add(
            tar, "bin/busybox", Path("/bin/busybox").read_bytes(), 0o4755
        )  # a setuid bit, as images have them
        for applet in ("sh", "sleep", "cat", "echo", "ls", "id", "stat"):
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        _add(tar, "etc/image", b"a file of the image\n")
    layer = archive.getvalue()
    return layer, _sha256(layer)


def _config(layer_id: str) -> bytes:
    return _json(
        architecture="amd64",
        os="linux",
        config=CONFIG,
        rootfs={"type": "layers", "diff_ids": [f"sha256:{layer_id}"]},
        history=[{"created": "2020-01-01T00:00:00Z"}],
    )


def _described(kind: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": kind, "size": len(content), "digest": f"sha256:{_sha256(content)}"}


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _json(**members: Any) -> bytes:
    return json.dumps(members).encode()


def _add(tar: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    tar.addfile(entry, io.BytesIO(content))
