import ctypes
import subprocess
import sys

import pytest

from app.allocator import keep_freed_memory

PAGE_FAULTS = """
import resource, sys
from app.allocator import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(3):
    bytearray(1_000_000)
before = faults()
for _ in range(50):
    bytearray(b"x" * 1_000_000)
print(faults() - before)
"""


def page_faults(way: str) -> int:
    ended = subprocess.run(
        [sys.executable, "-c", PAGE_FAULTS, way], capture_output=True, text=True, check=True, timeout=60
    )
    return int(ended.stdout)


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="not glibc")
def test_freed_memory_is_used_again_without_asking_the_system() -> None:
    # A megabyte has 244 pages.
    assert page_faults("keep") < 50 * 244 / 10


def test_other_c_libraries_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    assert not keep_freed_memory()
