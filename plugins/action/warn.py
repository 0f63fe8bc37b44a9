"""Ansible action: show messages as warnings, each once."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

display = Display()


class ActionModule(ActionBase):  # type: ignore[misc]
    """Show the `messages`, a list of texts."""

    BYPASS_HOST_LOOP = True
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return Ansible's result, which is always the same."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(
            {"messages": {"type": "list", "elements": "str", "required": True}}
        )
        for message in arguments["messages"]:
            display.warning(message)
        result["changed"] = False
        return result
