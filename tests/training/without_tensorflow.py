"""Runs a module as if TensorFlow were not installed: `python -m tests.training.without_tensorflow MODULE ...`."""

import importlib.machinery
import runpy
import sys
from typing import Any


class _WithoutTensorFlow(importlib.machinery.PathFinder):
    """Finds packages as Python does, less one."""

    @classmethod
    def find_spec(cls, fullname: str, *given: Any) -> Any:
        return None if fullname.partition(".")[0] == "tensorflow" else super().find_spec(fullname, *given)


if __name__ == "__main__":
    usual = importlib.machinery.PathFinder
    sys.meta_path = [_WithoutTensorFlow if one is usual else one for one in sys.meta_path]
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
