"""What ansible-doc says of the action plugin of this name."""

DOCUMENTATION = r"""
module: warn
short_description: Show messages as warnings
description:
  - Shows each message once, whatever the number of hosts. It runs on the control node and reaches no host.
options:
  messages:
    description: The texts to show.
    type: list
    elements: str
    required: true
author: The project's maintainers
"""

EXAMPLES = r"""
- name: Warn of public addresses
  mesos_docker.cluster.warn:
    messages: "{{ groups | mesos_docker.cluster.public_addresses(hostvars) }}"
"""

RETURN = ""
