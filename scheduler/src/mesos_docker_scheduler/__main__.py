"""`python -m mesos_docker_scheduler` is the command `mesos-docker-scheduler`."""

import sys

from mesos_docker_scheduler.cli import main

sys.exit(main())
