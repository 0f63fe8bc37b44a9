"""The exceptions of the package are one tree, and the tree is drawn."""

from __future__ import annotations

import inspect
import pkgutil
import re
from importlib import import_module

import mesos_docker_scheduler
from mesos_docker_scheduler import errors


def test_every_exception_is_in_the_tree_that_is_drawn() -> None:
    drawn = set(re.findall(r"[├└]── (\w+)", errors.__doc__ or ""))
    prefix = f"{mesos_docker_scheduler.__name__}."
    names = [module.name for module in pkgutil.walk_packages(mesos_docker_scheduler.__path__, prefix)]
    modules = [import_module(name) for name in names if not name.endswith("__main__")]
    found = {
        member
        for module in modules
        for _, member in inspect.getmembers(module, inspect.isclass)
        if issubclass(member, Exception) and member.__module__.startswith(prefix)
    }
    assert {one.__name__ for one in found if not issubclass(one, errors.Error)} == set()
    assert {one.__name__ for one in found} == {"Error", *drawn}
