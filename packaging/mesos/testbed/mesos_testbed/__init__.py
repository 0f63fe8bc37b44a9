"""Real Mesos, Docker Engine and ZooKeeper, started for a test or a benchmark and ended with it.

Every engine and agent is private (own folders, sockets, ports): nothing here touches the machine's own
Docker Engine, whose `mesos-*` containers an agent would otherwise remove as orphans. Needs root, Debian's
docker.io, iproute2 and busybox-static (and zookeeper for `ZooKeeper`), and the staged tree that
`make -C packaging/mesos` builds.
"""

from mesos_testbed.agent_api import AgentApi, RefusedError
from mesos_testbed.certificates import Certificates
from mesos_testbed.docker_engine import PrivateDocker
from mesos_testbed.framework import Framework, command_task, docker_task
from mesos_testbed.mesos import STAGED_TREE, Agent, Master, cluster, socket_flags, token_flags
from mesos_testbed.process import Daemon, DaemonError, eventually, free_port
from mesos_testbed.zookeeper import ZooKeeper

__all__ = [
    "STAGED_TREE",
    "Agent",
    "AgentApi",
    "Certificates",
    "Daemon",
    "DaemonError",
    "Framework",
    "Master",
    "PrivateDocker",
    "RefusedError",
    "ZooKeeper",
    "cluster",
    "command_task",
    "docker_task",
    "eventually",
    "free_port",
    "socket_flags",
    "token_flags",
]
