"""What importing the client brings into a process."""

import subprocess
import sys

_SCRIPT = """
import sys
import proto_client
import proto_client.client
heavy = {"tensorflow", "tensorflow_serving", "keras", "grpc_tools.protoc", "ml_dtypes", "proto_client.generator"}
print(sorted(heavy & sys.modules.keys()))
"""


def test_neither_tensorflow_nor_the_generator_is_loaded() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _SCRIPT], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
