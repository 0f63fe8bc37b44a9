"""Ansible module: what the mesos-master on this host is, and what it knows of the other masters."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
---
module: mesos_master_state
short_description: Tells what the mesos-master on this host is
description:
  - Changes nothing. It looks at the unit and the replicated log on the disk, and asks the master itself.
options:
  unit:
    description: The unit's file.
    type: path
    required: true
  work_dir:
    description: The master's C(--work_dir).
    type: path
    required: true
  address:
    description: The master's IPv4 address.
    type: str
    required: true
  port:
    description: Its port.
    type: int
    required: true
  credential:
    description: C(principal) and C(secret) for a master that demands them for its metrics.
    type: dict
    default: {}
  tls:
    description:
      - C(ca_file), C(cert_file) and C(key_file), paths on the host, for masters that speak TLS.
      - Without it they are asked in plain text.
    type: dict
    default: {}
  or_plain:
    description: Ask a master that does not speak TLS in plain text, without the credential.
    type: bool
    default: false
  voters:
    description: All masters, this one included, as ADDRESS:PORT. Ask each whether it has recovered the log.
    type: list
    elements: str
    default: []
author: The project's maintainers
"""

EXAMPLES = r"""
- name: Look at the master
  mesos_docker.cluster.mesos_master_state:
    unit: /etc/systemd/system/mesos-master.service
    work_dir: /var/lib/mesos/master
    address: 10.0.0.1
    port: 5050
  register: master
"""

RETURN = r"""
quorum:
  description: The C(--quorum) in the unit's file, 0 when there is none.
  type: int
  returned: always
has_log:
  description: Whether there is a replicated log.
  type: bool
  returned: always
ensemble:
  description: The addresses of the masters whose log this one's is, as the last deployment wrote them down.
  type: list
  elements: str
  returned: always
seed:
  description: The new quorum that this host's log was packed for, if it was not written to since; else 0.
  type: int
  returned: always
answers:
  description: Whether the master answers.
  type: bool
  returned: always
recovered:
  description:
    - Whether its replica of the log has all it needs to take part.
    - True, too, where the master does not show its metrics to the credential that was given.
  type: bool
  returned: always
has_registry:
  description:
    - Whether it leads and has read the registry; an elected master without a majority has not.
    - True, too, where the master does not show its metrics to the credential that was given.
  type: bool
  returned: always
replicas:
  description: How many replicas of the log it sees, its own included; 0 when unknown.
  type: int
  returned: always
leader:
  description: The leading master as ADDRESS:PORT, as this one knows it; empty when it knows none.
  type: str
  returned: always
voters:
  description: Whether each of O(voters) has recovered, by ADDRESS:PORT.
  type: dict
  returned: always
"""

TIMEOUT_SECONDS = 5


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Where the leader is, is the answer itself."""

    def redirect_request(self, *_: object) -> None:
        """Follow nothing."""


class Masters:
    """How masters are asked: directly, whatever proxy the host has for the rest of the world."""

    def __init__(self, credential: dict[str, str], tls: dict[str, str], *, or_plain: bool = False) -> None:
        handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({}), _NoRedirect()]
        if tls:
            # Before the first deployment there are no files; then nobody answers either.
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            with contextlib.suppress(OSError):
                context.load_verify_locations(tls["ca_file"])
                context.load_cert_chain(tls["cert_file"], tls["key_file"])
            handlers.append(urllib.request.HTTPSHandler(context=context))
        self._opener = urllib.request.build_opener(*handlers)
        self._scheme = "https" if tls else "http"
        self._credential = credential
        # The password is for those who have shown a certificate.
        self._plain = Masters({}, {}) if tls and or_plain else None

    def get(self, where: str, path: str, *, credential: bool = True) -> tuple[int, bytes, str]:
        """Return status, body and Location of an answer of ADDRESS:PORT; status 0 when there is none."""
        request = urllib.request.Request(f"{self._scheme}://{where}{path}")
        if self._credential and credential:
            pair = f"{self._credential['principal']}:{self._credential['secret']}".encode()
            request.add_header("Authorization", "Basic " + base64.b64encode(pair).decode())
        try:
            with self._opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
                return answer.status, answer.read(), ""
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read(), error.headers.get("Location", "")
        except OSError:
            return self._plain.get(where, path) if self._plain else (0, b"", "")


def packed_for(work_dir: Path) -> int:
    """Return the quorum that the log was packed for, 0 when it was not, or has been written to since."""
    log = [file.stat().st_mtime_ns for file in (work_dir / "replicated_log").glob("*")]
    seeds = {
        int(quorum[1]): path.stat().st_mtime_ns
        for path in work_dir.glob("seed-for-quorum-*.tar.gz")
        if (quorum := re.search(r"quorum-(\d+)\.tar\.gz$", path.name))
    }
    return max((quorum for quorum, packed in seeds.items() if packed > max(log, default=0)), default=0)


def on_disk(unit: Path, work_dir: Path) -> dict[str, Any]:
    """Return what the unit and the work folder tell."""
    text = unit.read_text(encoding="utf-8") if unit.exists() else ""
    quorum = re.search(r"--quorum=(\d+)", text)
    ensemble = work_dir / "ensemble"
    return {
        "quorum": int(quorum[1]) if quorum else 0,
        "ensemble": ensemble.read_text(encoding="utf-8").split() if ensemble.exists() else [],
        "has_log": (work_dir / "replicated_log" / "CURRENT").exists(),
        "seed": packed_for(work_dir),
    }


def of_process(masters: Masters, where: str) -> dict[str, Any]:
    """Return what the master at ADDRESS:PORT itself tells."""
    status, body, _ = masters.get(where, "/metrics/snapshot")
    metrics: dict[str, float] = json.loads(body) if status == 200 else {}
    _, _, location = masters.get(where, "/master/redirect", credential=False)
    return {
        "answers": status != 0,
        "recovered": status in (401, 403) or metrics.get("registrar/log/recovered") == 1,
        "has_registry": status in (401, 403) or "registrar/registry_size_bytes" in metrics,
        "replicas": int(metrics.get("registrar/log/ensemble_size", 0)),
        "leader": urlsplit(location).netloc,
    }


def main() -> None:
    """Ansible's entry point."""
    module = AnsibleModule(
        argument_spec={
            "unit": {"type": "path", "required": True},
            "work_dir": {"type": "path", "required": True},
            "address": {"type": "str", "required": True},
            "port": {"type": "int", "required": True},
            "credential": {"type": "dict", "default": {}, "no_log": True},
            "tls": {"type": "dict", "default": {}},
            "or_plain": {"type": "bool", "default": False},
            "voters": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    given = module.params
    masters = Masters(given["credential"], given["tls"], or_plain=given["or_plain"])
    module.exit_json(
        changed=False,
        **on_disk(Path(given["unit"]), Path(given["work_dir"])),
        **of_process(masters, f"{given['address']}:{given['port']}"),
        voters={voter: bool(of_process(masters, voter)["recovered"]) for voter in given["voters"]},
    )


if __name__ == "__main__":
    main()
