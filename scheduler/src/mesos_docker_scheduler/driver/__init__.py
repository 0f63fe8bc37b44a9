"""The Mesos driver: a pymesos MesosSchedulerDriver that a service can depend on.

Import `Scheduler` from here rather than from pymesos, whose import takes SIGINT over.
"""

from mesos_docker_scheduler.driver.credential import Credential, Secrets
from mesos_docker_scheduler.driver.driver import SchedulerDriver
from mesos_docker_scheduler.driver.pipeline import CallFailed
from mesos_docker_scheduler.driver.pymesos_base import Scheduler
from mesos_docker_scheduler.driver.tls import TlsSettings

__all__ = ["CallFailed", "Credential", "Scheduler", "SchedulerDriver", "Secrets", "TlsSettings"]
