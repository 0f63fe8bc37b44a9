"""Whether all is right, seen from outside: as many containers as wanted, and a cluster that is whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

from chaos_judge import Wanted
from chaos_leftovers import ephemeral_nodes
from chaos_observer import Observer
from lab_cluster import eventually
from lab_control_plane import zookeeper_state
from lab_inventory import CommandError, Lab
from lab_usage import keepers

# A look or an answer that is older says nothing.
FRESH_SECONDS = 8
# All was right for so long: what a daemon takes away when it is back, it does so soon.
SETTLED_SECONDS = 10
# A master that has just come to lead gives slaves ten minutes to register, and some more to be waited for.
LIMIT_SECONDS = 720
LEFT_SECONDS = 60


def missing(lab: Lab, observer: Observer, wanted: Wanted) -> list[str]:
    """Return what is not right, a sentence each."""
    now = observer.now()
    sentences = [
        f"the engine of {slave} does not answer"
        for slave in lab.slaves
        if now - observer.looked(slave) > FRESH_SECONDS
    ]
    running = observer.running()
    images = Counter(life.image for life in running)
    if images != Counter({wanted.image: wanted.count}):
        sentences.append(f"{dict(images)} run, {wanted.count} of {wanted.image} are wanted")
    sentences += [
        f"{life} does not answer" for life in running if now - observer.answered(life.id) > FRESH_SECONDS
    ]
    registered = lab.registered_slaves()
    if registered != sorted(lab.slaves):
        sentences.append(f"{registered or 'no slaves'} are registered with a leading master")
    sentences += [
        f"ZooKeeper's server on {host} does not serve"
        for host in lab.groups["zookeepers"]
        if not zookeeper_state(lab.addresses[host])
    ]
    return sentences


def until_right(lab: Lab, observer: Observer, wanted: Wanted) -> tuple[float | None, list[str]]:
    """Wait until all is right and stays so; returns the seconds until it was, or None and what is missing.

    Raises Interrupted.
    """
    start = observer.now()
    since: float | None = None
    while True:
        at = observer.now()
        sentences = missing(lab, observer, wanted)
        if sentences:
            since = None
            if at - start > LIMIT_SECONDS:
                return None, sentences
        elif since is None:
            since = at
        elif at - since >= SETTLED_SECONDS:
            return since - start, []
        lab.wait(1)


def left_over(
    lab: Lab,
    observer: Observer,
    *,
    stopped: Mapping[str, frozenset[str]],
    ended: Collection[str],
    ephemeral: int | None,
) -> list[str]:
    """Return what should be gone by now, a sentence each; waits for it a moment.

    stopped: which stopped containers there were before, by slave. ended: slaves that were off; Mesos removes
    what ran there only after hours (`docker_remove_delay`). ephemeral: how many nodes of living sessions
    there were at first.
    """

    def sentences() -> list[str]:
        found = [
            f"{host} has {len(more)} stopped containers more"
            for host, ids in observer.stopped().items()
            if host not in ended and (more := ids - stopped.get(host, frozenset()))
        ]
        on = Counter(life.host for life in observer.running())
        for slave in lab.slaves:
            try:
                counts = keepers(lab, slave)
            except CommandError as error:
                found.append(str(error))
                continue
            found += [
                f"{slave} has {count} {name}s for {on[slave]} containers"
                for name, count in counts.items()
                if count != on[slave]
            ]
        nodes = ephemeral_nodes(lab)
        if nodes != ephemeral:
            found.append(f"ZooKeeper has {nodes} ephemeral nodes, and {ephemeral} at first")
        return found

    found: list[str] = []

    def none_left() -> bool:
        found[:] = sentences()
        return not found

    try:
        eventually("nothing is left over", none_left, seconds=LEFT_SECONDS)
    except AssertionError:
        return found
    return []
