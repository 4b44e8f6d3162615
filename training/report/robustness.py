"""How answers change when the same pictures come cut, blurred, compressed, small, or stored on their side."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from preprocessing import decode_picture
from training.metrics import ranks_of
from training.report.asked import Asked
from training.report.distortions import DISTORTIONS, ORIENTATIONS, UPRIGHT, stored_as, upright
from training.report.shares import DIGITS, share_of
from training.served import ExportedModel

_BATCH = 32
_EXIF_EACH = 40


@dataclass(frozen=True, slots=True)
class _Answered:
    """Ranks of the right classes and the highest probabilities, for pictures under one condition."""

    ranks: list[int]
    highest: list[float]


def measure_robustness(model: ExportedModel, asked: Asked, *, sample: int, seed: int = 0) -> dict[str, Any]:
    """Ask for distorted pictures.

    Args:
        model: The version.
        asked: Pictures and their undistorted answers.
        sample: How many of the pictures, drawn at random; all where there are fewer.
        seed: Seed of the draw.

    Returns:
        `pictures`; `rows`, the first for the pictures as they are: `key`, `name`, `pictures`, `top1` and `top3`
        (shares with intervals), `lost` (right without the distortion alone), `gained` (right with it alone) and
        `confidence` (the mean); `exif`: pictures stored in each of the seven EXIF orientations that are not upright,
        against the same stored upright: `files` (asked), `changed_answers`, `largest_pixel_difference` (of 255) and
        `largest_probability_change`.
    """
    random = np.random.default_rng(seed)
    drawn = random.permutation(len(asked.pictures))[:sample].tolist()
    plain = _Answered(
        asked.ranks[drawn].tolist(),
        asked.confidences[drawn].tolist(),
    )
    found = {one.key: _Answered([], []) for one in DISTORTIONS}
    for start in tqdm(range(0, len(drawn), _BATCH), desc="robustness", unit="batch", mininterval=5):
        part = drawn[start : start + _BATCH]
        originals = [upright(asked.pictures[one].read()) for one in part]
        truths = [asked.truths[one] for one in part]
        for distortion in DISTORTIONS:
            files = [distortion.apply(pixels) for pixels in originals]
            _ask(model, [_decode(model, data) for data in files], truths, found[distortion.key])
    rows = [{"key": "untouched", "name": "As they are", **_row(plain, plain)}]
    rows += [{"key": one.key, "name": one.name, **_row(found[one.key], plain)} for one in DISTORTIONS]
    return {"pictures": len(drawn), "rows": rows, "exif": _exif(model, asked, drawn[:_EXIF_EACH])}


def _exif(model: ExportedModel, asked: Asked, drawn: Sequence[int]) -> dict[str, Any]:
    """Compare pictures saved upright with the same saved in every other orientation, without loss."""
    changed, pixel_difference, probability_change = 0, 0, 0.0
    for position in drawn:
        pixels = upright(asked.pictures[position].read())
        inputs = np.stack([_decode(model, stored_as(one)(pixels)) for one in (UPRIGHT, *ORIENTATIONS)])
        answer = model.answer(inputs)
        changed += int((answer["class_ids"][1:, 0] != answer["class_ids"][0, 0]).sum())
        difference = np.abs(inputs[1:].astype(np.int16) - inputs[0])
        pixel_difference = max(pixel_difference, int(difference.max()))
        change = np.abs(answer["probabilities"][1:, 0] - answer["probabilities"][0, 0])
        probability_change = max(probability_change, float(change.max()))
    return {
        "files": len(drawn) * len(ORIENTATIONS),
        "changed_answers": changed,
        "largest_pixel_difference": pixel_difference,
        "largest_probability_change": round(probability_change, DIGITS),
    }


def _ask(model: ExportedModel, inputs: list[NDArray[np.uint8]], truths: list[str], into: _Answered) -> None:
    answer = model.answer(np.stack(inputs))
    ids = [[one.decode() for one in row] for row in answer["class_ids"].tolist()]
    into.ranks.extend(ranks_of(ids, truths).tolist())
    into.highest.extend(answer["probabilities"][:, 0].tolist())


def _decode(model: ExportedModel, data: bytes) -> NDArray[np.uint8]:
    return decode_picture(data, height=model.height, width=model.width)


def _row(here: _Answered, plain: _Answered) -> dict[str, Any]:
    ranks, before = np.array(here.ranks, np.int64), np.array(plain.ranks, np.int64)
    count = len(ranks)
    return {
        "pictures": count,
        "top1": share_of(int((ranks == 0).sum()), count),
        "top3": share_of(int((ranks < 3).sum()), count),
        "lost": int(((before == 0) & (ranks != 0)).sum()),
        "gained": int(((before != 0) & (ranks == 0)).sum()),
        "confidence": round(float(np.mean(here.highest)), DIGITS) if count else None,
    }
