"""A Mesos framework that keeps containers running as a configuration file says."""

from importlib.metadata import version

__version__ = version("mesos-docker-scheduler")
