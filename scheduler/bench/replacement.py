"""How long a killed container is missing, beside a bare `docker run` on the same engine in the same run.

    python scheduler/bench/replacement.py [--runs 20]

Starts a real master, agent, Docker Engine and our scheduler with one service of two instances. Each round
kills one container and takes the time from the `docker kill` until the engine says that the replacement has
started; then it times one `docker run` of the same image. Needs root and the staged Mesos tree
(`make -C packaging/mesos`). Prints a table in seconds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import docker

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "packaging/mesos/testbed"))

from mesos_testbed import Daemon, Master, PrivateDocker, cluster, eventually, free_port

IMAGE = "demo/web:1"
INSTANCES = 2
PAUSE_SECONDS = 3.0
# What is killed every few seconds looks like a crash loop; its back-off is not what is measured here.
NO_BACKOFF = {"initial_seconds": 0.001, "factor": 1, "max_seconds": 0.001}


def scheduler(folder: Path, master: Master) -> Daemon:
    """The scheduler as its unit runs it, for one service of two instances."""
    folder.mkdir(parents=True)
    config = folder / "config.json"
    config.write_text(
        json.dumps(
            {
                "master": master.address,
                "http": {"bind": "127.0.0.1", "port": free_port()},
                "state_dir": str(folder / "state"),
                "services": [
                    {
                        "name": "bench",
                        "image": IMAGE,
                        "count": INSTANCES,
                        "cpus": 0.1,
                        "mem": 32,
                        "backoff": NO_BACKOFF,
                    }
                ],
            }
        )
    )
    return Daemon(
        "scheduler", [sys.executable, "-m", "mesos_docker_scheduler", "run", "--config", config], folder
    )


def replacement_seconds(engine: docker.DockerClient) -> float:
    """Kill the oldest instance and wait for the start of another one."""
    victim = min(engine.containers.list(), key=lambda container: container.attrs["Created"])
    events = engine.events(decode=True, filters={"type": "container", "event": "start"})
    killed = time.time()
    victim.kill()
    started = next(event["timeNano"] for event in events) / 1e9
    events.close()
    return float(started - killed)


def docker_run_seconds(engine: docker.DockerClient) -> float:
    """Time `docker run --detach` through the same API, with the network that the service has."""
    before = time.time()
    container = engine.containers.run(IMAGE, detach=True, network_mode="bridge", mem_limit="32m")
    seconds = time.time() - before
    container.remove(force=True)
    return seconds


def row(name: str, seconds: Sequence[float]) -> str:
    """One line of the table."""
    return f"{name:<42}{min(seconds):>8.3f}{statistics.median(seconds):>8.3f}{max(seconds):>8.3f}"


def measure(engine_process: PrivateDocker, runs: int) -> tuple[list[float], list[float]]:
    """Both times, in turn, `runs` times."""
    engine = docker.DockerClient(f"unix://{engine_process.socket}", timeout=60)
    eventually(lambda: len(engine.containers.list()) == INSTANCES, "all instances run", 60)
    replaced, bare = [], []
    for _ in range(runs):
        time.sleep(PAUSE_SECONDS)
        replaced.append(replacement_seconds(engine))
        eventually(lambda: len(engine.containers.list()) == INSTANCES, "all instances run again", 60)
        bare.append(docker_run_seconds(engine))
    return replaced, bare


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--runs", type=int, default=20, help="rounds (default: 20)")
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        with cluster(folder) as (master, _agent, engine), scheduler(folder / "scheduler", master):
            replaced, bare = measure(engine, runs)
    print(f"{f'seconds, {runs} rounds':<42}{'min':>8}{'median':>8}{'max':>8}")
    print(row("docker kill → the replacement has started", replaced))
    print(row("docker run --detach, bare", bare))


if __name__ == "__main__":
    main()
