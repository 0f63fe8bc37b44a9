#!/usr/bin/env python3
"""Writes docs/services.md from the schema of the scheduler's configuration.

python docs/generate_services.py           writes the file
python docs/generate_services.py --check   fails when the schema and the file disagree
"""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path
from typing import Any

from mesos_docker_scheduler.config import Allowed, Service
from mesos_docker_scheduler.config.allowed import HARMLESS

PAGE = Path(__file__).resolve().parent / "services.md"
WIDEST = 110
INTRODUCTION = """\
# Services

What an entry of `scheduler_services` may hold. The short form (`scheduler_image`, `scheduler_count` and so
on) has the same fields with `scheduler_` before their names.

    scheduler_services:
      - name: api
        image: registry.example.org/shop/api:3.1
        count: 4
        mem: 512
        ports: [{container_port: 8080}]
        health_check: {protocol: http, port: 8080, path: /health}
        constraints: [{field: "@zone", operator: GROUP_BY}]
        update: {max_surge: 2, on_failure: rollback}

All services are checked together; when one is wrong, nothing changes and everything that is wrong is said.

## Secrets

In `secrets: {DB_PASSWORD: db}` the name `db` is one of `scheduler_secret_values`, which belongs into a vault;
an absolute path is that of a file on the scheduler's host. The container finds the value in its environment,
and so does whoever may use Docker on its slave. It is not in the scheduler's status, log and state, nor in
what Mesos' masters and slaves tell, log and keep, nor in a list of processes. (With `containerizer: mesos` a
slave keeps it in `/run/mesos` while the instance is there, in a file that root alone can read.) From the
scheduler to the masters and slaves it travels as safely as everything else there: encrypted when they speak
TLS.

- A changed value replaces the instances, like a changed image. Older values are not kept: a rollback starts
  the older version with the value of today.
- While a secret can't be read, nothing of its service is started or stopped, and the status says why.
- This needs the executor of this project's Mesos package. Mesos' own would leave the variable empty.

## Commands without Docker

With `containerizer: mesos` Mesos itself runs a service: an image, or a command of the slave's without one.

    scheduler_services:
      - name: exporter
        containerizer: mesos
        network: host
        user: exporter
        fetch: ["https://files.example.org/exporter-1.4.tar.gz"]
        command: exec ./exporter-1.4/exporter --port "$PORT_HTTP"
        ports: [{name: http, container_port: 0}]
        health_check: {protocol: http, port_name: http}

Instances are planned, checked, updated, stopped and looked at as others are. A service that changes its
`containerizer` is updated, as with another image. What differs:

| field | with `containerizer: mesos` |
| --- | --- |
| `image` | `scheduler_allowed` needs `privileged: true`; for a command without one `host_commands: true` |
| `network` | must be `host`: `scheduler_allowed` needs `host_network: true` |
| `user` | required: a user of the slaves, not a daemon of the cluster. `root` needs `privileged: true` |
| `command` | required without an image; its folder is its sandbox |
| `args`, `entrypoint`, `force_pull` | for images; `args` never replace the first word of what it starts |
| `cpus`, `mem` | limits if the slaves have the isolators `cgroups/cpu` and `cgroups/mem`, or else measured |
| `volumes` | folders of the host, in an image alone; the slaves need the isolator `filesystem/linux` |
| `env`, `secrets` | with the command 100000 bytes as JSON |
| `labels` | shown by Mesos alone |
| `parameters`, `privileged`, `gpus`, `network_name`, named volumes | refused |

What is asked for and can't be honoured is refused, with a message that says what is allowed. A slave does not
say which isolators it has. An image needs `filesystem/linux` and `docker/runtime`; on a slave without them an
instance fails, its message says what is missing, the service waits as after every failure, and other slaves
are tried. Keep such services to the right slaves with an attribute and `constraints`.

## Fetched files

`fetch` names files that are put into the sandbox before an instance starts, whatever runs it. A command
without an image starts in its sandbox; elsewhere `MESOS_SANDBOX` says where it is: `/mnt/mesos/sandbox`. In a
Docker container root alone can go there, unless `scheduler_framework_user` has the same number as its `user`.

    fetch:
      - https://files.example.org/app-1.4.tar.gz            # is unpacked
      - {uri: "https://files.example.org/tool", executable: true, cache: true}
      - {uri_secret: app_uri, output_file: app.tar.gz}      # a name in scheduler_secret_values, or a path

- The slave fetches, from where it is in the network: `http`, `https`, `ftp`, `ftps`, what Hadoop's client
  knows, where it is installed, and files of its own, which `host_paths` of `scheduler_allowed` must cover.
- Everybody may see a `uri`, so it can't have a password or a query. A URI that has goes into a secret:
  the scheduler hands it to the executor as it does with [secrets](#secrets), and nothing of it is told or
  logged, also where it can't be fetched. Such a file is not cached.
- Another `uri`, or another secret, replaces the instances. Another file at the same place is not noticed:
  name the version in the URI.
- A file that can't be fetched ends the instance before it has started; the status says why.

## What an instance is told

| variable | value |
| --- | --- |
| `HOST` | the name of its slave |
| `PORT0`, `PORT1`, ... | the host's port of the first, the second, ... of its `ports` |
| `PORT_NAME` | that of the port `name`, in capitals and with `_` for `-`: `PORT_ADMIN_API` for `admin-api` |

What `env` and `secrets` say comes before these. Others find the named ports in the task's DiscoveryInfo.

## One on each slave

With `mode: global` a service has one instance on each slave that its constraints allow, for a collector of
logs or an agent of the monitoring. A slave that joins gets one within seconds; one that is drained or leaves
is not missed. A slave of which nothing is free is known as soon as something is. An update replaces the
instances where they are, `max_unavailable` at a time, one by default.

## Services that need others

`depends_on: [db]` starts a service when all wanted instances of `db` are healthy. From then on `db` holds it
up only while none of it is healthy. Where both stop, because their `count` becomes 0 or the file leaves them
out, `db` stops when the other has ended. What runs is never stopped because something that it depends on is
down.

## What services may ask of the slaves

A service that is `privileged`, has the network `host`, mounts a folder of the host or has an option of
`docker run` that reaches beyond its container has power over its slave. It may have that only if
`scheduler_allowed` says so, the section `allowed` of the scheduler's configuration: [Allowed](#allowed).

    scheduler_allowed:
      host_paths: [{path: /srv/shop, mode: rw}]
      parameters: [cap-add=NET_ADMIN]

Another service stops the playbook before anything changes, and is refused by the scheduler. These options
need not be named:

HARMLESS

Nor need `security-opt` with the value `no-new-privileges`. How to choose:
[security](security.md#what-services-may-do).

This page is generated from the scheduler's own schema by `docs/generate_services.py`.
"""

Schema = dict[str, Any]


def page() -> str:
    """Render the page: a table for a service, and one for each section in it."""
    harmless = textwrap.fill(", ".join(f"`{option}`" for option in sorted(HARMLESS)), WIDEST)
    tables = [
        *_tables("Service", Service.model_json_schema()),
        *_tables("Allowed", Allowed.model_json_schema()),
    ]
    return INTRODUCTION.replace("HARMLESS", harmless) + "".join(tables)


def _tables(name: str, schema: Schema) -> list[str]:
    """Render a section, and those in it."""
    inner = sorted(schema["$defs"].items())
    return [_table(name, schema), *(_table(name, section) for name, section in inner)]


def _table(name: str, section: Schema) -> str:
    lines = [f"\n## {name}\n", f"{section['description'].splitlines()[0]}\n"]
    lines += ["| field | default | what it is | what is allowed |", "| --- | --- | --- | --- |"]
    required = section.get("required", ())
    for field, schema in section["properties"].items():
        default, title = _default(field in required, schema), _text(schema["title"])
        lines.append(f"| `{field}` | {default} | {title} | {_allowed(schema)} |")
    return "\n".join(lines) + "\n"


def _default(required: bool, schema: Schema) -> str:
    if required:
        return "**required**"
    default = schema.get("default")
    if isinstance(default, dict):
        return "see below"
    if default is None:
        return ""
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return f"`{default if default != '' else chr(34) * 2}`"


def _allowed(schema: Schema) -> str:
    text = _text(schema["description"])
    text = text.removesuffix(f": {_text(schema['title'])}")
    for name in _sections(schema):
        text += f": [{name}](#{name.lower()})"
    return text


def _sections(schema: Schema) -> list[str]:
    """The sections that a field holds."""
    parts = [schema, schema.get("items", {}), *schema.get("anyOf", ())]
    return [part["$ref"].rpartition("/")[2] for part in parts if "$ref" in part]


def _text(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main() -> int:
    """Write the page, or check it."""
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(page(), encoding="utf-8")
    elif not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page():
        print(
            "docs/services.md is not what the schema says: run python docs/generate_services.py",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
