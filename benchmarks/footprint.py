"""Import time and idle memory: the gateway beside the usual TensorFlow Serving client.

    python -m benchmarks.footprint

The usual client is `tensorflow-serving-api`'s stub with `tf.make_tensor_proto`, as most tutorials have it. Each side
is imported in fresh processes, turn and turn about; medians are printed.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROUNDS = 5

MEASURE = """
import json, time
started = time.perf_counter()
{imports}
seconds = time.perf_counter() - started
import psutil
print(json.dumps([seconds, psutil.Process().memory_info().rss / 1e6]))
"""

SIDES = {
    "gateway (app.main, the app made)": (
        "from app.main import create_app\n"
        "from app.settings import Settings\n"
        "create_app(Settings.model_validate({'tokens': ['0123456789abcdef']}))"
    ),
    "tensorflow-serving-api and tf.make_tensor_proto": (
        "import tensorflow as tf\n"
        "from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc"
    ),
}


def measure(imports: str) -> tuple[float, float]:
    """Seconds and resident megabytes of one import in a new process."""
    script = MEASURE.format(imports=imports)
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True, timeout=300
    )
    seconds, megabytes = json.loads(ended.stdout)
    return seconds, megabytes


def main() -> None:
    """Measure both sides and print a table."""
    argparse.ArgumentParser(prog="python -m benchmarks.footprint", description=__doc__).parse_args()
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in SIDES}
    for _ in range(ROUNDS):
        for name, imports in SIDES.items():
            found[name].append(measure(imports))
    medians = {
        name: tuple(statistics.median(column) for column in zip(*runs, strict=True))
        for name, runs in found.items()
    }
    print(f"{'':50} {'import':>9} {'memory':>9}")
    for name, (seconds, megabytes) in medians.items():
        print(f"{name:50} {seconds:7.2f} s {megabytes:6.0f} MB")
    (ours_seconds, ours_megabytes), (usual_seconds, usual_megabytes) = medians.values()
    print(f"{'ratio':50} {usual_seconds / ours_seconds:8.1f}× {usual_megabytes / ours_megabytes:8.1f}×")


if __name__ == "__main__":
    main()
