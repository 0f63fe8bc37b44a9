#!/usr/bin/python3 -I
"""Tells Prometheus how this host's Mesos master, Mesos agent and ZooKeeper server are.

It asks them when it is asked: Mesos for `/metrics/snapshot`, ZooKeeper for `mntr`. A daemon that does not
answer costs the others nothing: its `..._up` is 0, and its other metrics are missing until it is back.

It needs Python's standard library alone: hosts have no package index.
"""

from __future__ import annotations

import argparse
import base64
import hmac
import http.client
import http.server
import io
import json
import math
import os
import re
import resource
import socket
import ssl
import sys
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

# Prometheus gives up after 10 seconds, unless it is told otherwise.
TIMEOUT_SECONDS = 5.0
# Mesos leaves out what it can't tell until then: one metric that hangs does not hide the others.
SNAPSHOT_TIMEOUT = "3secs"
# Mesos tells a thousand things about a hundred frameworks in less than this.
MAX_ANSWER_BYTES = 16 * 1024 * 1024
# Who asks within this time of somebody else gets the same answer: Mesos answers two requests a second.
REUSE_SECONDS = 1.0
MAX_CONNECTIONS = 8
MIB = 1024.0 * 1024.0
MILLISECOND = 0.001

GAUGE, COUNTER, SUMMARY = "gauge", "counter", "summary"
QUANTILES = {
    "min": "0",
    "p50": "0.5",
    "p90": "0.9",
    "p95": "0.95",
    "p99": "0.99",
    "p999": "0.999",
    "p9999": "0.9999",
    "max": "1",
}


class Sample(NamedTuple):
    """One line of a family: its labels, its value, and `_sum` or `_count` in a summary."""

    labels: tuple[tuple[str, str], ...]
    value: float
    suffix: str = ""


@dataclass(frozen=True)
class Family:
    """A metric as Prometheus knows it."""

    name: str
    kind: str
    text: str


Samples = dict[Family, list[Sample]]


@dataclass(frozen=True)
class Rule:
    """What becomes of the names that match `pattern`: its groups are labels, the value is multiplied."""

    pattern: re.Pattern[str]
    family: Family
    factor: float = 1.0
    suffix: str = ""


def gauge(pattern: str, name: str, text: str, factor: float = 1.0) -> Rule:
    """Return the rule about something that rises and falls."""
    return Rule(re.compile(pattern), Family(name, GAUGE, text), factor)


def counter(pattern: str, name: str, text: str) -> Rule:
    """Return the rule about something that is counted since the daemon was started."""
    return Rule(re.compile(pattern), Family(f"{name}_total", COUNTER, text))


def table(prefix: str, rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """Return rules whose metrics' names begin with the daemon's."""
    return tuple(
        replace(each, family=replace(each.family, name=f"{prefix}_{each.family.name}")) for each in rules
    )


# --- Mesos ------------------------------------------------------------------------------------------------


def amounts(pattern: str, name: str, text: str) -> Iterator[Rule]:
    """Return a rule for each kind of resource, whose place in pattern and name is `{}`."""
    for theirs, ours, words, factor in (
        ("cpus", "cpus", "Processors", 1.0),
        ("gpus", "gpus", "GPUs", 1.0),
        ("mem", "memory", "Memory", MIB),
        ("disk", "disk", "Disk", MIB),
    ):
        unit = "_bytes" if factor == MIB else ""
        yield gauge(pattern.format(theirs), name.format(ours) + unit, f"{words} {text}", factor)


def timer(theirs: str, name: str, text: str) -> Rule:
    """Return the rule about a timer, which remembers what it has measured for a while: it has no sum."""
    pattern = f"{theirs}_ms/(?P<quantile>{'|'.join(QUANTILES)})"
    return Rule(re.compile(pattern), Family(name, SUMMARY, text), MILLISECOND)


HOST_RULES = (
    gauge("system/cpus_total", "host_cpus", "Processors of the host."),
    gauge("system/load_1min", "host_load1", "Load of the host over a minute."),
    gauge("system/load_5min", "host_load5", "Load of the host over 5 minutes."),
    gauge("system/load_15min", "host_load15", "Load of the host over 15 minutes."),
    gauge("system/mem_total_bytes", "host_memory_bytes", "Memory of the host."),
    gauge("system/mem_free_bytes", "host_memory_free_bytes", "Memory of the host that is free."),
)

_FRAMEWORK = "master/frameworks/(?P<framework>[^/]+)/(?P<framework_id>[^/]+)"
MASTER_RULES = table(
    "mesos_master",
    (
        gauge("master/elected", "elected", "Whether this master leads."),
        gauge("master/uptime_secs", "uptime_seconds", "Time since the master was started."),
        *amounts("master/{}_total", "{}_capacity", "that the cluster has."),
        *amounts("master/{}_used", "{}_used", "of the cluster that tasks and executors have been given."),
        *amounts(
            "master/{}_revocable_total", "{}_revocable_capacity", "that the cluster offers a second time."
        ),
        *amounts(
            "master/{}_revocable_used", "{}_revocable_used", "of the cluster that tasks may lose again."
        ),
        gauge(
            "master/slaves_(?P<state>active|inactive|connected|disconnected|unreachable)",
            "agents",
            "Agents that the leading master knows. Each but the unreachable ones is active or inactive, "
            "and connected or disconnected.",
        ),
        counter(
            "master/slave_registrations",
            "agent_registrations",
            "Agents that have registered for the first time.",
        ),
        counter(
            "master/slave_reregistrations",
            "agent_reregistrations",
            "Agents that have come back.",
        ),
        counter(
            "master/slave_removals/reason_(?P<reason>.+)",
            "agent_removals",
            "Agents that the master has removed: they did not answer (unhealthy), left (unregistered), "
            "or came back as another one (registered).",
        ),
        counter(
            "master/slave_unreachable_(?P<stage>scheduled|canceled|completed)",
            "agent_unreachable",
            "Agents that did not answer: they were to be called unreachable, came back before, or were.",
        ),
        counter(
            "master/recovery_slave_removals",
            "recovery_agent_removals",
            "Agents of the registry that did not come back after this master had begun to lead.",
        ),
        gauge(
            "master/frameworks_(?P<state>active|inactive|connected|disconnected)",
            "frameworks",
            "Frameworks that the leading master knows: each is active or inactive, and "
            "connected or disconnected.",
        ),
        gauge(
            "master/outstanding_offers",
            "outstanding_offers",
            "Offers that no framework has answered.",
        ),
        gauge(
            "master/tasks_(?P<state>killing|running|staging|starting|unreachable)",
            "tasks",
            "Tasks by state.",
        ),
        counter(
            "master/tasks_(?P<state>dropped|error|failed|finished|gone|gone_by_operator|killed|lost)",
            "tasks_ended",
            "Tasks that have ended since this master leads, by their last state.",
        ),
        counter(
            "master/task_(?P<state>[a-z_]+)/source_(?P<source>[a-z_]+)/reason_(?P<reason>[a-z_]+)",
            "task_ends_by_reason",
            "Tasks that have ended, by who said so and why.",
        ),
        gauge(
            "master/operations/(?P<state>pending|recovering|unreachable)",
            "operations",
            "Operations on resources, such as reservations, that have not ended.",
        ),
        counter(
            "master/operations/(?P<state>dropped|error|failed|finished|gone_by_operator)",
            "operations_ended",
            "Operations on resources that have ended.",
        ),
        counter("master/messages_(?P<type>[a-z_]+)", "messages", "Messages that the master got."),
        counter(
            "master/(?P<validity>valid|invalid)_(?P<type>[a-z_]+)",
            "checked_messages",
            "Messages between frameworks, executors and agents that the master has checked.",
        ),
        counter(
            "master/dropped_messages",
            "dropped_messages",
            "Messages that the master has thrown away, from who is not registered for example.",
        ),
        gauge(
            "master/event_queue_(?P<type>dispatches|http_requests|messages)",
            "event_queue_length",
            "What waits for the master to get to it.",
        ),
        counter(
            "master/http_cache_hits",
            "http_cache_hits",
            "HTTP requests answered with one answer.",
        ),
        gauge(
            "master/operator_event_stream_subscribers",
            "event_stream_subscribers",
            "Clients of the operators' event stream.",
        ),
        gauge(
            "registrar/state_fetch_ms",
            "registry_fetch_seconds",
            "Time that the registry took to be read.",
        ),
        gauge(
            "registrar/state_store_ms",
            "registry_last_store_seconds",
            "Time that the latest write of the registry took.",
        ),
        timer(
            "registrar/state_store",
            "registry_store_seconds",
            "Time that writes of the registry took, over a day.",
        ),
        gauge(
            "registrar/queued_operations",
            "registry_queued_operations",
            "Changes that wait for a write of the registry.",
        ),
        gauge("registrar/registry_size_bytes", "registry_size_bytes", "Size of the registry."),
        gauge(
            "registrar/log/recovered",
            "replicated_log_recovered",
            "Whether this master's copy of the replicated log has caught up and votes.",
        ),
        gauge(
            "registrar/log/ensemble_size",
            "replicated_log_members",
            "Masters that this one sees in the replicated log, itself included.",
        ),
        counter("allocator/mesos/allocation_runs", "allocation_runs", "Runs of the allocator."),
        timer(
            "allocator/mesos/allocation_run",
            "allocation_run_seconds",
            "Time that a run of the allocator took.",
        ),
        timer(
            "allocator/mesos/allocation_run_latency",
            "allocation_wait_seconds",
            "Time that a run of the allocator had to wait for.",
        ),
        gauge(
            "allocator/mesos/event_queue_dispatches",
            "allocator_event_queue_length",
            "What waits for the allocator to get to it.",
        ),
        *amounts(
            "allocator/mesos/resources/{}/offered_or_allocated",
            "{}_offered_or_used",
            "that is offered, or that tasks and executors have been given.",
        ),
        gauge(
            "allocator/mesos/roles/(?P<role>.*)/shares/dominant",
            "role_dominant_share_ratio",
            "A role's share of that resource of the cluster of which it has the most.",
        ),
        gauge(
            "allocator/mesos/offer_filters/roles/(?P<role>.*)/active",
            "role_offer_filters",
            "Offers that frameworks of a role have declined for a time.",
        ),
        *amounts(
            "allocator/mesos/quota/roles/(?P<role>.*)/resources/{}/guarantee",
            "role_{}_guaranteed",
            "that a role's quota guarantees.",
        ),
        *amounts(
            "allocator/mesos/quota/roles/(?P<role>.*)/resources/{}/limit",
            "role_{}_limit",
            "that a role's quota allows at most.",
        ),
        *amounts(
            "allocator/mesos/quota/roles/(?P<role>.*)/resources/{}/consumed",
            "role_{}_consumed",
            "that a role has been given, or holds as a reservation.",
        ),
        gauge(f"{_FRAMEWORK}/subscribed", "framework_subscribed", "Whether a framework is connected."),
        gauge(
            f"{_FRAMEWORK}/tasks/active/task_(?P<state>[a-z_]+)",
            "framework_tasks",
            "A framework's tasks by state.",
        ),
        counter(
            f"{_FRAMEWORK}/tasks/terminal/task_(?P<state>[a-z_]+)",
            "framework_tasks_ended",
            "A framework's tasks that have ended, by their last state.",
        ),
        counter(
            f"{_FRAMEWORK}/offers/(?P<outcome>sent|accepted|declined|rescinded)",
            "framework_offers",
            "Offers to a framework, and what became of them.",
        ),
        *HOST_RULES,
    ),
)

AGENT_RULES = table(
    "mesos_agent",
    (
        gauge("slave/registered", "registered", "Whether a master has taken this agent in."),
        gauge("slave/uptime_secs", "uptime_seconds", "Time since the agent was started."),
        *amounts("slave/{}_total", "{}_capacity", "that the agent has."),
        *amounts("slave/{}_used", "{}_used", "of the agent that tasks and executors have been given."),
        *amounts("slave/{}_revocable_total", "{}_revocable_capacity", "that the agent offers a second time."),
        *amounts("slave/{}_revocable_used", "{}_revocable_used", "of the agent that tasks may lose again."),
        gauge("slave/frameworks_active", "frameworks", "Frameworks with tasks on this agent."),
        gauge(
            "slave/tasks_(?P<state>killing|running|staging|starting)",
            "tasks",
            "Tasks of the agent by state.",
        ),
        counter(
            "slave/tasks_(?P<state>failed|finished|gone|killed|lost)",
            "tasks_ended",
            "Tasks that have ended since the agent was started, by their last state.",
        ),
        gauge(
            "slave/executors_(?P<state>registering|running|terminating)",
            "executors",
            "Executors of the agent by state.",
        ),
        counter("slave/executors_terminated", "executors_ended", "Executors that have ended."),
        counter(
            "slave/executors_preempted",
            "executors_preempted",
            "Executors that lost their revocable resources.",
        ),
        counter(
            "slave/container_launch_errors",
            "container_launch_errors",
            "Containers that could not be started.",
        ),
        gauge(
            "slave/recovery_errors",
            "recovery_errors",
            "What the agent could not recover at its start.",
        ),
        gauge("slave/recovery_time_secs", "recovery_seconds", "Time that the agent took to recover."),
        gauge(
            "slave/executor_directory_max_allowed_age_secs",
            "sandbox_max_age_seconds",
            "Age at which sandboxes of ended executors are removed; less when the disk is full.",
        ),
        counter(
            "slave/(?P<validity>valid|invalid)_(?P<type>framework_messages|status_updates)",
            "checked_messages",
            "Messages between frameworks and executors, and status updates, that the agent has checked.",
        ),
        gauge(
            "gc/path_removals_pending",
            "sandbox_removals_pending",
            "Folders that wait for their removal.",
        ),
        counter(
            "gc/path_removals_(?P<outcome>failed|succeeded)",
            "sandbox_removals",
            "Folders whose removal was tried.",
        ),
        counter(
            "containerizer/fetcher/task_fetches_(?P<outcome>failed|succeeded)",
            "fetches",
            "Tasks whose URIs were fetched.",
        ),
        gauge(
            "containerizer/fetcher/cache_size_total_bytes",
            "fetcher_cache_capacity_bytes",
            "Fetcher's cache.",
        ),
        gauge(
            "containerizer/fetcher/cache_size_used_bytes",
            "fetcher_cache_used_bytes",
            "What is in it.",
        ),
        counter(
            "containerizer/mesos/container_destroy_errors",
            "container_destroy_errors",
            "Containers of the Mesos containerizer that could not be destroyed.",
        ),
        counter(
            "containerizer/mesos/provisioner/(?P<step>.+)_errors",
            "provisioner_errors",
            "Root file systems that the Mesos containerizer could not remove.",
        ),
        timer(
            "containerizer/(?P<containerizer>docker|mesos)/image_pull",
            "image_pull_seconds",
            "Time that pulls of images took that the agent has begun itself.",
        ),
        gauge(
            "resource_provider_manager/subscribed",
            "resource_providers",
            "Resource providers of the agent.",
        ),
        *HOST_RULES,
    ),
)

# --- ZooKeeper --------------------------------------------------------------------------------------------


def summary(theirs: str, name: str, text: str) -> Iterator[Rule]:
    """Return the rules about the sum and the number of what ZooKeeper has measured since it was started."""
    family = Family(name, SUMMARY, text)
    yield Rule(re.compile(f"zk_sum_{theirs}"), family, MILLISECOND, "_sum")
    yield Rule(re.compile(f"zk_cnt_{theirs}"), family, 1.0, "_count")


def percentiles(theirs: str, name: str, text: str) -> Iterator[Rule]:
    """Return the rules about something of which ZooKeeper knows percentiles, too."""
    yield from summary(theirs, name, text)
    pattern = re.compile(f"zk_(?P<quantile>p50|p95|p99|p999)_{theirs}")
    yield Rule(pattern, Family(name, SUMMARY, text), MILLISECOND)


ZOOKEEPER_STATES = ("leader", "follower", "observer", "standalone")
ZOOKEEPER_RULES = table(
    "zookeeper",
    (
        gauge("zk_uptime", "uptime_seconds", "Time since the server was started.", MILLISECOND),
        gauge("zk_quorum_size", "quorum_size", "Servers of the ensemble that vote."),
        gauge("zk_learners", "learners", "Servers that the leader leads."),
        gauge("zk_synced_followers", "synced_followers", "Followers that have what the leader has."),
        gauge("zk_synced_observers", "synced_observers", "Observers that have what the leader has."),
        gauge("zk_pending_syncs", "pending_syncs", "Synchronisations that clients wait for."),
        gauge(
            "zk_outstanding_requests",
            "outstanding_requests",
            "Requests that the server has not answered.",
        ),
        gauge("zk_num_alive_connections", "connections", "Connections of clients."),
        gauge("zk_global_sessions", "sessions", "Sessions of clients."),
        gauge("zk_znode_count", "znodes", "Nodes of the tree."),
        gauge("zk_ephemerals_count", "ephemeral_znodes", "Nodes that end with their session."),
        gauge("zk_watch_count", "watches", "Watches of clients."),
        gauge("zk_approximate_data_size", "data_size_bytes", "Size of the tree, about."),
        gauge("zk_open_file_descriptor_count", "open_fds", "Open files of the server."),
        gauge("zk_max_file_descriptor_count", "max_fds", "Files that the server may open."),
        counter("zk_packets_received", "packets_received", "Packets from clients."),
        counter("zk_packets_sent", "packets_sent", "Packets to clients."),
        counter("zk_bytes_received_count", "received_bytes", "Bytes from clients."),
        gauge(
            "zk_avg_latency",
            "latency_average_seconds",
            "Time that requests took, since the start.",
            MILLISECOND,
        ),
        gauge(
            "zk_max_latency",
            "latency_max_seconds",
            "Time that the slowest request took.",
            MILLISECOND,
        ),
        counter(
            "zk_proposal_count",
            "proposals",
            "Changes that this server has proposed as a leader.",
        ),
        counter(
            "zk_commit_count",
            "commits",
            "Changes that this server has committed as a leader.",
        ),
        counter("zk_looking_count", "elections", "Times that the server has looked for a leader."),
        counter("zk_snap_count", "learner_snapshots", "Learners that got a whole snapshot."),
        counter("zk_diff_count", "learner_diffs", "Learners that got what they had missed."),
        counter(
            "zk_connection_rejected",
            "connections_rejected",
            "Connections that were refused.",
        ),
        counter(
            "zk_connection_drop_count",
            "connections_dropped",
            "Connections that were dropped.",
        ),
        counter(
            "zk_stale_sessions_expired",
            "sessions_expired",
            "Sessions whose client was silent.",
        ),
        counter("zk_auth_failed_count", "auth_failures", "Clients that had a wrong password."),
        counter(
            "zk_large_requests_rejected",
            "large_requests_rejected",
            "Requests that were too large.",
        ),
        counter("zk_throttled_ops", "throttled_operations", "Requests that waited for too long."),
        counter(
            "zk_unrecoverable_error_count",
            "unrecoverable_errors",
            "Errors that end a server.",
        ),
        counter(
            "zk_digest_mismatches_count",
            "digest_mismatches",
            "Changes after which the server's tree differed from the leader's.",
        ),
        gauge(
            "zk_max_fsynctime",
            "fsync_max_seconds",
            "Time that the slowest write of the log took since the server was started.",
            MILLISECOND,
        ),
        *summary(
            "fsynctime", "fsync_seconds", "Time that writes of the log took until they were on the disk."
        ),
        *summary("snapshottime", "snapshot_seconds", "Time that snapshots took."),
        *summary("election_time", "election_seconds", "Time that elections of a leader took."),
        *summary("unavailable_time", "unavailable_seconds", "Time without a leader."),
        *percentiles("updatelatency", "write_seconds", "Time that writes of clients took."),
        *percentiles("readlatency", "read_seconds", "Time that reads of clients took."),
        *percentiles(
            "propagation_latency",
            "propagation_seconds",
            "Time from a leader's proposal until it is in the tree.",
        ),
        *percentiles("jvm_pause_time_ms", "jvm_pause_seconds", "Time for which the JVM stood still."),
    ),
)


def samples(values: Mapping[str, object], rules: Iterable[Rule]) -> Samples:
    """Translate what a daemon tells. What no rule knows and what is no finite number is left out."""
    found: Samples = {}
    table = tuple(rules)
    for name, value in values.items():
        number = finite(value)
        if number is None:
            continue
        for each in table:
            if match := each.pattern.fullmatch(name):
                labels = {label: text for label, text in match.groupdict().items() if text is not None}
                if "quantile" in labels:
                    labels["quantile"] = QUANTILES[labels["quantile"]]
                if "framework" in labels:
                    labels["framework"] = urllib.parse.unquote(labels["framework"])
                sample = Sample(tuple(sorted(labels.items())), scaled(number, each), each.suffix)
                found.setdefault(each.family, []).append(sample)
                break
    return found


def finite(value: object) -> float | None:
    """Return a number, also one that stands in a text; None for anything else, NaN and infinity included."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def scaled(number: float, by: Rule) -> float:
    """Return a number in the family's unit; the count of a summary has none."""
    return number if by.suffix == "_count" else number * by.factor


def mesos_snapshot(answer: bytes) -> Mapping[str, object]:
    """Read what `/metrics/snapshot` answers. ValueError: it is something else."""
    values = json.loads(answer)
    if not isinstance(values, dict):
        raise ValueError("the answer is no object")
    return values


def zookeeper_values(answer: bytes) -> dict[str, str]:
    """Read what `mntr` answers: a name, a tab and a value on each line. Without a quorum there is none."""
    lines = (line.partition("\t") for line in answer.decode(errors="replace").splitlines())
    return {name: value.strip() for name, tab, value in lines if tab}


def zookeeper_samples(answer: bytes) -> Samples:
    """Translate what `mntr` answers. ValueError: it is something else."""
    values = zookeeper_values(answer)
    serving = "zk_server_state" in values
    if not serving and b"not currently serving requests" not in answer:
        raise ValueError(f"mntr was answered by {answer[:80].decode(errors='replace')!r}")
    found = samples(values, ZOOKEEPER_RULES)
    known = Family("zookeeper_serving", GAUGE, "Whether the server is part of an ensemble that has a leader.")
    found[known] = [Sample((), float(serving))]
    if serving:
        state = values["zk_server_state"]
        family = Family("zookeeper_server_state", GAUGE, "What the server is in its ensemble.")
        found[family] = [Sample((("state", each),), float(each == state)) for each in ZOOKEEPER_STATES]
        version = re.split(r"[-,]", values.get("zk_version", ""), maxsplit=1)[0]
        family = Family("zookeeper_info", GAUGE, "The version of the server.")
        found[family] = [Sample((("version", version),), 1.0)]
    return found


# --- asking -----------------------------------------------------------------------------------------------


class _Received(io.BytesIO):
    """Bytes that `http.client` takes for a socket."""

    def makefile(self, *_: object) -> io.BytesIO:
        return self


class Answer(NamedTuple):
    """What a daemon has answered, and when the certificate ends that it has shown (seconds of the epoch)."""

    body: bytes
    certificate_end: float | None = None


def tls_context(files: Mapping[str, str]) -> ssl.SSLContext | None:
    """Return how to speak TLS with `ca_file`, `cert_file` and `key_file`; None without. OSError: it can't."""
    if not files:
        return None
    context = ssl.create_default_context(cafile=files["ca_file"])
    context.load_cert_chain(files["cert_file"], files["key_file"])
    return context


def certificate_end(connection: socket.socket) -> float | None:
    """Return when the certificate of the other side ends; None when it has shown none."""
    shown = connection.getpeercert() if isinstance(connection, ssl.SSLSocket) else None
    return float(ssl.cert_time_to_seconds(str(shown["notAfter"]))) if shown else None


@contextmanager
def connected(
    address: tuple[str, int], seconds: float, tls: ssl.SSLContext | None
) -> Iterator[socket.socket]:
    """Connect, over TLS where it is to be."""
    with socket.create_connection(address, timeout=seconds) as connection:
        if tls is None:
            yield connection
        else:
            with tls.wrap_socket(connection, server_hostname=address[0]) as secured:
                yield secured


def exchange(
    address: tuple[str, int],
    request: bytes,
    seconds: float = TIMEOUT_SECONDS,
    tls: ssl.SSLContext | None = None,
) -> Answer:
    """Send a request and return all that comes until the other side closes. OSError: it does not, in time."""
    deadline = time.monotonic() + seconds
    received = bytearray()
    with connected(address, seconds, tls) as connection:
        end = certificate_end(connection)
        connection.sendall(request)
        while True:
            connection.settimeout(max(0.001, deadline - time.monotonic()))
            part = connection.recv(65536)
            if not part:
                return Answer(bytes(received), end)
            received += part
            if len(received) > MAX_ANSWER_BYTES:
                raise OSError(f"the answer is longer than {MAX_ANSWER_BYTES} bytes")
            if time.monotonic() >= deadline:
                raise TimeoutError(f"the answer is not complete after {seconds:g} s")


def http_get(
    address: tuple[str, int],
    path: str,
    credential: Mapping[str, str],
    tls: ssl.SSLContext | None = None,
) -> Answer:
    """Return an answer's body. OSError: there is none; it names the status when that is not 200."""
    host = f"{address[0]}:{address[1]}"
    lines = [f"GET {path} HTTP/1.1", f"Host: {host}", "Connection: close", "Accept: application/json"]
    if credential:
        pair = f"{credential['principal']}:{credential['secret']}".encode()
        lines.append(f"Authorization: Basic {base64.b64encode(pair).decode()}")
    received = exchange(address, ("\r\n".join(lines) + "\r\n\r\n").encode(), tls=tls)
    answer = http.client.HTTPResponse(_Received(received.body))  # type: ignore[arg-type]
    try:
        answer.begin()
        body = answer.read()
    except http.client.HTTPException as error:
        raise OSError(f"the answer is no HTTP: {error!r}") from error
    if answer.status != http.HTTPStatus.OK:
        raise OSError(f"the answer is {answer.status} {answer.reason}")
    return received._replace(body=body)


@dataclass(frozen=True)
class Access:
    """Where a daemon listens, and what it is shown: `principal` and `secret`, and a certificate."""

    address: tuple[str, int]
    credential: Mapping[str, str]
    tls: ssl.SSLContext | None


@dataclass(frozen=True)
class Target:
    """A daemon of this host."""

    name: str  # what the names of its metrics begin with
    title: str
    read: Callable[[Access], Samples]


def certificate_family(name: str) -> Family:
    """Return what is told of the certificate of a daemon that speaks TLS."""
    return Family(
        f"{name}_certificate_end_timestamp_seconds",
        GAUGE,
        "When the certificate ends that the daemon shows, in seconds since 1970.",
    )


def read_mesos(name: str, rules: Iterable[Rule]) -> Callable[[Access], Samples]:
    """Return how a master or an agent is asked."""
    path = f"/metrics/snapshot?timeout={SNAPSHOT_TIMEOUT}"

    def read(access: Access) -> Samples:
        answer = http_get(access.address, path, access.credential, access.tls)
        found = samples(mesos_snapshot(answer.body), rules)
        if answer.certificate_end is not None:
            found[certificate_family(name)] = [Sample((), answer.certificate_end)]
        return found

    return read


TARGETS = {
    target.name: target
    for target in (
        Target("mesos_master", "the Mesos master", read_mesos("mesos_master", MASTER_RULES)),
        Target("mesos_agent", "the Mesos agent", read_mesos("mesos_agent", AGENT_RULES)),
        Target(
            "zookeeper",
            "ZooKeeper",
            lambda access: zookeeper_samples(exchange(access.address, b"mntr").body),
        ),
    )
}


class Collector:
    """Asks all targets at once, and keeps the answer for whoever asks within a second."""

    def __init__(
        self,
        targets: Mapping[str, Mapping[str, Any]],
        credentials: Mapping[str, Mapping[str, str]],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._targets = {
            name: Access((given["address"], given["port"]), credentials.get(name, {}), tls)
            for name, given in targets.items()
        }
        self._pool = ThreadPoolExecutor(max_workers=len(targets), thread_name_prefix="target")
        self._lock = threading.Lock()
        self._page = b""
        self._asked_at = -math.inf
        self._problems: dict[str, str] = {}

    def page(self) -> bytes:
        """Return what Prometheus reads."""
        with self._lock:
            if time.monotonic() - self._asked_at >= REUSE_SECONDS:
                self._page = rendered(self._collect()).encode()
                self._asked_at = time.monotonic()
            return self._page

    def _collect(self) -> Samples:
        asked = Family(
            "mesos_docker_exporter_target_seconds",
            GAUGE,
            "Time that a daemon took to answer, or not to answer.",
        )
        found: Samples = {asked: []}
        for name, (answer, seconds) in zip(
            self._targets, self._pool.map(self._ask, self._targets), strict=True
        ):
            found.update(answer)
            found[asked].append(Sample((("target", name),), seconds))
        return found | own_process()

    def _ask(self, name: str) -> tuple[Samples, float]:
        access, target = self._targets[name], TARGETS[name]
        began = time.monotonic()
        try:
            found = target.read(access)
            problem = ""
        except (OSError, ValueError) as error:
            found = {}
            problem = str(error) or type(error).__name__
        self._tell(name, ":".join(map(str, access.address)), problem)
        up = Family(f"{name}_up", GAUGE, f"Whether {target.title} of this host answers.")
        return {up: [Sample((), float(not problem))]} | found, time.monotonic() - began

    def _tell(self, name: str, address: str, problem: str) -> None:
        """Write into the journal when a target begins or ceases to answer, and not at each look."""
        before = self._problems.get(name, "")
        self._problems[name] = problem
        if problem != before:
            what = f"gives no metrics: {problem}" if problem else "answers again"
            tell(f"{TARGETS[name].title} ({address}) {what}")


def own_process() -> Samples:
    """Return what this process uses, under the names that all exporters use."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        Family("process_cpu_seconds_total", COUNTER, "Processor time of the exporter."): [
            Sample((), usage.ru_utime + usage.ru_stime)
        ],
        Family("process_resident_memory_bytes", GAUGE, "Memory of the exporter."): [
            Sample((), float(pages * os.sysconf("SC_PAGE_SIZE")))
        ],
        Family("process_open_fds", GAUGE, "Open files of the exporter."): [
            Sample((), float(sum(1 for _ in Path("/proc/self/fd").iterdir())))
        ],
    }


# --- telling ----------------------------------------------------------------------------------------------


def rendered(found: Samples) -> str:
    """Write samples down in Prometheus' text format, version 0.0.4."""
    lines = []
    for family, its_samples in found.items():
        lines.append(f"# HELP {family.name} {escaped(family.text)}")
        lines.append(f"# TYPE {family.name} {family.kind}")
        for labels, value, suffix in its_samples:
            pairs = ",".join(f'{name}="{escaped(text)}"' for name, text in labels)
            braces = f"{{{pairs}}}" if pairs else ""
            lines.append(f"{family.name}{suffix}{braces} {written(value)}")
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """Escape what ends a label's value or a line; in help texts a quote may be escaped, too."""
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def written(value: float) -> str:
    """Write a whole number as one: 3, not 3.0."""
    return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)


def tell(text: str) -> None:
    """Write a line into the journal."""
    print(text, file=sys.stderr, flush=True)


class Server(http.server.ThreadingHTTPServer):
    """Answers a bounded number of connections at once; more are closed unanswered."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], token: str, collector: Collector) -> None:
        self.token = token
        self.collector = collector
        self._free = threading.BoundedSemaphore(MAX_CONNECTIONS)
        super().__init__(address, Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Begin a thread for a connection if there are not too many."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer a connection, and make room for the next."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say in one line what went wrong with a client; those that go away early are nobody's business."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            tell(f"{client_address[0]} got no answer: {error!r}")


class Handler(http.server.BaseHTTPRequestHandler):
    """`/metrics`, and a hint for people at `/`."""

    server: Server
    timeout = 10  # seconds for which a client may say nothing
    server_version = "mesos-docker-exporter"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer a request."""
        path = urllib.parse.urlsplit(self.path).path
        if path == "/":
            self._answer(200, b"The metrics are at /metrics.\n")
        elif path != "/metrics":
            self._answer(404, b"There is nothing here. The metrics are at /metrics.\n")
        elif not self._may_read():
            self._answer(401, b"The token is missing or wrong.\n")
        else:
            self._answer(200, self.server.collector.page())

    do_HEAD = do_GET  # noqa: N815 - http.server's name

    def _may_read(self) -> bool:
        given = self.headers.get("Authorization", "")
        wanted = f"Bearer {self.server.token}"
        return not self.server.token or hmac.compare_digest(given.encode(), wanted.encode())

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        if status == http.HTTPStatus.UNAUTHORIZED:
            self.send_header("WWW-Authenticate", "Bearer")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep requests out of the journal: there is one every 15 seconds."""


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", required=True, type=Path, help="what the role monitoring writes")
    given = json.loads(parser.parse_args().config.read_text(encoding="utf-8"))
    where = (given["address"], given["port"])
    collector = Collector(given["targets"], given["credentials"], tls_context(given.get("tls", {})))
    with Server(where, given["token"], collector) as server:
        tell(f"listens on {where[0]}:{where[1]}, and asks {', '.join(given['targets'])}")
        server.serve_forever()


if __name__ == "__main__":
    main()
