"""Lets the tests import the helpers beside them (pytest's importlib mode adds no path)."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[2] / "wheelhouse")]
