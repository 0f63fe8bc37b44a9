"""Ansible filter: say what is wrong with the scheduler's configuration in terms of the role's variables."""

from __future__ import annotations

import re


def operators_words(problem: str, short_form: bool) -> str:
    """Turn the configuration's path at the beginning of a problem into the variable that it was made from.

    With the short form, scheduler_image and its like are the first service, and the list follows.
    """

    def variable(match: re.Match[str]) -> str:
        index, rest = int(match[1]), match[2]
        if not short_form:
            return f"scheduler_services[{index}]{rest}"
        if index == 0:
            return f"scheduler_{rest.removeprefix('.')}" if rest.startswith(".") else f"scheduler_*{rest}"
        return f"scheduler_services[{index - 1}]{rest}"

    problem = re.sub(r"^services\[(\d+)\](.?)", variable, problem)
    problem = re.sub(r"^(framework|http)\.", r"scheduler_\1_", problem)
    # What a service may not have is said with what is allowed instead.
    problem = re.sub(r"(^|; )(?=allowed\.)", r"\1scheduler_", problem)
    return re.sub(r"^(?=(master|services|allowed|log_level):)", "scheduler_", problem)


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, object]:
        """Return the filters by name."""
        return {"operators_words": operators_words}
