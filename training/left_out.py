"""Leave one source out: how a head does on pictures from a collection that it was never trained on.

The hold-out of a run comes from the same collections as its training pictures, and collections have habits (one
site's crops, one camera, one event) that a network learns with the sport. A new user's pictures have none of them, so
the figure on a source left out altogether is the honest guess of what that user will see. Pictures of other sources
that look like one of the source are left out with it: a copy would give its habits away.
"""

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from training.classifier import HeadWeights
from training.errors import DataError
from training.head import train_head
from training.intervals import share
from training.pipeline import Prepared
from training.settings import TrainSettings, write_json
from training.views import ORIGINAL, training_views

#: A source with fewer pictures of classes that others have too says nothing.
FEWEST = 50


def leave_out(
    prepared: Prepared, settings: TrainSettings, sources: Sequence[str] = (), *, fewest: int = FEWEST
) -> list[dict[str, Any]]:
    """Train the first head of the settings once without each source, and once with all, and compare.

    Without a source means without all pictures of the groups that its pictures are in.

    Args:
        prepared: Pictures, parts and features.
        settings: Whose first head, views, pooling and seed are used.
        sources: Which to leave out; by default all that have enough pictures.
        fewest: How many pictures a source must have of classes that the training pictures of others have too.

    Returns:
        A row for each source: `source`, `classes` that others have too, and shares top1 and top3 on: `unseen`, all
        its pictures of these classes, by the head that never saw the source; `unseen_test`, those in the test part;
        and `seen_test`, the same pictures by the head that was trained on the source's other pictures too.

    Raises:
        DataError: No source has enough pictures, or one asked for is not in the data.
    """
    labels = np.array([prepared.classes.of_label[one.label] for one in prepared.data.pictures])
    origin = np.array([one.source for one in prepared.data.pictures])
    unknown = sorted(set(sources) - set(origin.tolist()))
    if unknown:
        raise DataError(
            f"No picture is from {', '.join(unknown)}; there are {', '.join(sorted(set(origin)))}."
        )
    train, test = prepared.split.train, prepared.split.test
    chosen: dict[str, tuple[NDArray[np.int64], NDArray[np.int64]]] = {}
    for source in sources or [name for name, _ in Counter(origin.tolist()).most_common()]:
        alike = np.isin(prepared.groups, prepared.groups[origin == source])
        others = train[~alike[train]]
        places = np.flatnonzero((origin == source) & np.isin(labels, labels[others]))
        if len(places) >= fewest:
            chosen[source] = others, places
    if not chosen:
        raise DataError(
            f"No source has {fewest} pictures of classes that other sources have too, its look-alikes there left out."
        )
    everything = _trained(prepared, settings, train)
    rows = []
    for source, (others, places) in tqdm(chosen.items(), desc="sources", unit="source"):
        without = _trained(prepared, settings, others)
        tested = np.intersect1d(places, test)
        rows.append(
            {
                "source": source,
                "classes": len(np.unique(labels[places])),
                "unseen": _figures(prepared, settings, without, places, labels),
                "unseen_test": _figures(prepared, settings, without, tested, labels),
                "seen_test": _figures(prepared, settings, everything, tested, labels),
            }
        )
    return rows


def _trained(prepared: Prepared, settings: TrainSettings, places: NDArray[np.int64]) -> HeadWeights:
    features = prepared.features(places, training_views(settings.crops), settings.pooling)
    head, _ = train_head(
        features, None, settings.heads[0], len(prepared.classes.ids), seed=settings.seed, progress=False
    )
    return HeadWeights.of(head)


def _figures(
    prepared: Prepared,
    settings: TrainSettings,
    head: HeadWeights,
    places: NDArray[np.int64],
    labels: NDArray[np.int64],
) -> dict[str, Any]:
    if not len(places):
        return {f"top{k}": share(0, 0) for k in (1, 3)}
    features = prepared.features(places, (ORIGINAL,), settings.pooling).views[0].astype(np.float32)
    logits = head.logits(features)
    own = logits[np.arange(len(places)), labels[places]]
    ranks = (logits > own[:, None]).sum(axis=1)
    return {f"top{k}": share(int((ranks < k).sum()), len(places)) for k in (1, 3)}


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options that only this command has."""
    command.add_argument("--split", type=Path, help="keep to the parts of a table that `targets` wrote")
    command.add_argument("--cache", type=Path, required=True, help="the folder for hashes and features")
    command.add_argument(
        "--source", action="append", default=[], help="leave this one out; default: each in turn"
    )
    command.add_argument("--output", type=Path, help="write the figures to this JSON file")


def run(options: argparse.Namespace, prepared: Prepared, settings: TrainSettings) -> None:
    """Compare, print a line for each source, and write the figures."""
    rows = leave_out(prepared, settings, options.source)
    if options.output is not None:
        write_json(options.output, rows)
    for row in rows:
        told = [
            f"{name.replace('_', ' ')} {100 * part['top1']['share']:.1f} / {100 * part['top3']['share']:.1f} % "
            f"of {part['top1']['of']}"
            for name in ("unseen", "unseen_test", "seen_test")
            for part in [row[name]]
            if part["top1"]["of"]
        ]
        print(f"{row['source']}, {row['classes']} classes: " + "; ".join(told))
