"""What ansible-doc says of the action plugin of this name."""

DOCUMENTATION = r"""
module: check_variables
short_description: Check the variables of a play's hosts against the specifications of their roles
description:
  - Runs once for all hosts, on the control node, and reports all mistakes in one message. A mistake that
    several hosts share is reported once.
  - Fails, too, when a variable looks like a misspelled one of these roles, unless
    C(cluster_foreign_variables) has it.
  - Warns of variables that begin like those of these roles, and are none.
options:
  roles:
    description:
      - The hosts that each role of this collection is for, as lists by the role's name.
      - What is specified for every host (C(playbooks/meta/argument_specs.yml)) is checked of all hosts of
        the play.
    type: dict
    required: true
author: The project's maintainers
"""

EXAMPLES = r"""
- name: Check every variable of the scheduler
  mesos_docker.cluster.check_variables:
    roles:
      scheduler: "{{ groups['schedulers'] }}"
"""

RETURN = ""
