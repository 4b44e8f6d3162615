"""What bfloat16 gives on a CPU and what it costs: one exported version in both precisions, asked in turn.

    python -m benchmarks.precision models/sport_classifier/4 --data pictures/ --split split.csv

CPU time of a picture at several batch sizes, on one core, round by round so that other work on the machine weighs on
both alike. With --data and --split, also how often the two name the same class first, and how often each is right,
on the test part of a run's split. The precision is set as `--mixed_precision=bfloat16` of the model server sets it.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

PRECISIONS = ("", "bfloat16")
Pixels = NDArray[np.uint8]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.precision", description=__doc__)
    parser.add_argument("version", type=Path, help="folder of an exported version")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 4, 8, 32])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--data", type=Path, help="the folder of the pictures")
    parser.add_argument("--split", type=Path, help="the split.csv of a run; its test part is asked")
    options = parser.parse_args(arguments)
    if (options.data is None) != (options.split is None):
        parser.error("--data and --split belong together")
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    asked = [_Asked(options.version, precision) for precision in PRECISIONS]
    side = asked[0].side
    print("| pictures at once | float32 | bfloat16 | ratio |\n|---|---|---|---|")
    for batch in options.batch:
        pixels = np.random.default_rng(0).integers(0, 256, (batch, *side, 3), np.uint8)
        seconds: list[list[float]] = [[] for _ in asked]
        for number in range(options.rounds + 3):
            for model, into in zip(asked, seconds, strict=True):
                begun = time.process_time()
                model.answer(pixels)
                if number >= 3:  # the first ones plan and allocate
                    into.append((time.process_time() - begun) / batch)
        whole, half = (1000 * statistics.median(one) for one in seconds)
        print(f"| {batch} | {whole:.1f} ms | {half:.1f} ms | {whole / half:.2f} |")
    if options.data is not None:
        _compare(asked, options.data, options.split, side)
    return 0


class _Asked:
    """A version in one precision, in a session on one thread as the model server would have it."""

    def __init__(self, version: Path, precision: str) -> None:
        from model_server.servable import Servable, session_config

        self._servable = Servable(version, session_config(intra_op=1, inter_op=1, mixed_precision=precision))
        signature = self._servable.signatures["serving_default"]
        images = signature.inputs["images"]
        self.side = (images.tensor_shape.dim[1].size, images.tensor_shape.dim[2].size)
        self._feed = images.name
        self._fetches = [signature.outputs[name].name for name in ("class_ids", "probabilities")]

    def answer(self, pixels: Pixels) -> tuple[NDArray[np.bytes_], NDArray[np.float32]]:
        """Class ids and probabilities of each picture, likeliest first."""
        ids, probabilities = self._servable.run({self._feed: pixels}, self._fetches)
        return ids, probabilities


def _compare(asked: Sequence[_Asked], data: Path, split: Path, side: tuple[int, int]) -> None:
    from preprocessing import decode_picture
    from training.classes import find_classes
    from training.split_file import read_split

    pictures = read_split(split, data, "test", task="sport")
    known = find_classes((one.label for one in pictures), "sport")
    truth = np.array([known.ids[known.of_label[one.label]] for one in pictures])
    answers: list[list[tuple[NDArray[np.bytes_], NDArray[np.float32]]]] = [[] for _ in asked]
    for begin in range(0, len(pictures), 32):
        part = [
            decode_picture(one.read(), height=side[0], width=side[1]) for one in pictures[begin : begin + 32]
        ]
        for model, into in zip(asked, answers, strict=True):
            into.append(model.answer(np.stack(part)))
    first = [np.concatenate([ids[:, 0] for ids, _ in one]).astype(str) for one in answers]
    likeliest = [np.concatenate([values[:, 0] for _, values in one]) for one in answers]
    same = first[0] == first[1]
    print(
        f"\n{len(pictures)} pictures of the test part: the same first answer for {same.mean():.2%}, its probability"
    )
    print(f"moved by {np.abs(likeliest[0] - likeliest[1])[same].mean():.4f} on average.")
    for name, ids in zip(("float32", "bfloat16"), first, strict=True):
        print(f"{name}: {(ids == truth).mean():.2%} right")


if __name__ == "__main__":
    sys.exit(main())
