"""What one picture costs on one core of a CPU: exported versions side by side, asked in turn.

    python -m benchmarks.inference_cost models/sport_classifier/4 models/product_classifier/2

The versions are asked one after the other, round by round, so that other work on the machine weighs on all alike;
each figure is the median of the rounds, and the ratio is to the first version named.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.inference_cost", description=__doc__)
    parser.add_argument("versions", type=Path, nargs="+", help="folders of exported versions")
    parser.add_argument("--rounds", type=int, default=60)
    options = parser.parse_args(arguments)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

    import numpy as np
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    from training.served import ExportedModel

    models = {version: ExportedModel(version) for version in options.versions}
    pictures = {
        version: np.random.default_rng(0).integers(0, 256, (1, model.height, model.width, 3), np.uint8)
        for version, model in models.items()
    }
    seconds: dict[Path, list[float]] = {version: [] for version in models}
    for number in range(options.rounds + 5):
        for version, model in models.items():
            begun = time.perf_counter()
            model.answer(pictures[version])
            if number >= 5:  # the first ones plan and allocate
                seconds[version].append(time.perf_counter() - begun)
    first = statistics.median(seconds[options.versions[0]])
    print("| version | input | MB | ms a picture | ratio |")
    print("|---|---|---|---|---|")
    for version, model in models.items():
        median = statistics.median(seconds[version])
        size = sum(path.stat().st_size for path in version.rglob("*") if path.is_file()) / 1e6
        cells = [
            str(version),
            f"{model.height} x {model.width}",
            f"{size:.1f}",
            f"{1000 * median:.1f}",
            f"{median / first:.2f}",
        ]
        print(f"| {' | '.join(cells)} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
