"""What the scheduler serves over HTTP: the status page, /healthz, /metrics and the API."""

from mesos_docker_scheduler.web.access import Access
from mesos_docker_scheduler.web.application import Sources, application
from mesos_docker_scheduler.web.certificate import Certificate, CertificateError
from mesos_docker_scheduler.web.hosts import Hosts
from mesos_docker_scheduler.web.server import WebServer, listen

__all__ = [
    "Access",
    "Certificate",
    "CertificateError",
    "Hosts",
    "Sources",
    "WebServer",
    "application",
    "listen",
]
