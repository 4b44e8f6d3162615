"""Features of pictures, computed once, kept on disk, and found again by what is in the picture.

The store is keyed by the backbone (kind, size, weights), the view and the picture's digest, not by a data set: more
data later means only that the new pictures are computed, and a run that was killed goes on where it stopped.
"""

import os
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from preprocessing import PictureError, decode_picture
from training.data import Picture
from training.views import make_view

#: From pixels, uint8 [batch, height, width, 3], to features, float32 [batch, n].
Extractor = Callable[[NDArray[np.uint8]], NDArray[np.float32]]

#: How many pictures an extractor is asked at a time.
BATCH = 64
_BATCHES_AHEAD = 2
# A kill loses at most this many pictures' work.
_PART = 512


class FeatureStore:
    """The features of one backbone at one size, by view and picture digest, in a folder.

    Each part file is complete or absent: it is written beside and renamed into place.
    """

    def __init__(self, cache: Path, fingerprint: str) -> None:
        """Open the store of one backbone.

        Args:
            cache: The folder of all caches.
            fingerprint: From `backbones.fingerprint_of`.
        """
        self._directory = cache / "features" / fingerprint[:24]

    def known(self, view: str) -> set[str]:
        """The digests of the pictures whose view is in the store."""
        digests: set[str] = set()
        for part in self._parts(view):
            with np.load(part) as arrays:
                digests.update(arrays["digests"].tolist())
        return digests

    def add(self, view: str, digests: Sequence[str], features: NDArray[np.float16]) -> None:
        """Store the features of some pictures.

        Args:
            view: The view's name.
            digests: The pictures' digests.
            features: float16 [pictures, n].
        """
        folder = self._directory / view
        folder.mkdir(parents=True, exist_ok=True)
        name = uuid.uuid4().hex
        draft = folder / f".{name}.draft"
        try:
            with draft.open("wb") as file:
                np.savez(file, digests=np.array(digests), features=features)
                file.flush()
                os.fsync(file.fileno())
            draft.rename(folder / f"{name}.npz")
        finally:
            draft.unlink(missing_ok=True)

    def load(self, view: str, digests: Sequence[str]) -> NDArray[np.float16]:
        """Load the features of some pictures.

        Args:
            view: The view's name.
            digests: The pictures' digests, all of them known.

        Returns:
            float16 [pictures, n], in the order asked.

        Raises:
            KeyError: A picture is not in the store.
        """
        wanted: dict[str, list[int]] = {}
        for position, digest in enumerate(digests):
            wanted.setdefault(digest, []).append(position)
        found: NDArray[np.float16] | None = None
        for part in self._parts(view):
            with np.load(part) as arrays:
                stored, features = arrays["digests"].tolist(), arrays["features"]
            if found is None:
                found = np.empty((len(digests), features.shape[1]), np.float16)
            for row, digest in enumerate(stored):
                for position in wanted.pop(digest, ()):
                    found[position] = features[row]
        if wanted or found is None:
            raise KeyError(f"{len(wanted)} pictures have no {view} features in {self._directory}.")
        return found

    def _parts(self, view: str) -> list[Path]:
        return sorted((self._directory / view).glob("*.npz"))


def fill_store(
    store: FeatureStore,
    pictures: Sequence[Picture],
    views: Sequence[str],
    extractor: Extractor,
    *,
    height: int,
    width: int,
) -> dict[str, str]:
    """Compute the features that the store lacks, with a progress bar.

    Args:
        store: Where they go.
        pictures: All that are needed; those already in the store cost nothing.
        views: Which views of each.
        extractor: The backbone with its pooling.
        height: Rows of the backbone's input.
        width: Columns of the backbone's input.

    Returns:
        What is wrong with each picture that cannot be decoded, by digest. The others are all in the store.
    """
    unreadable: dict[str, str] = {}
    for view in views:
        known = store.known(view)
        todo = list({p.digest: p for p in pictures if p.digest not in known}.values())
        if not todo:
            continue
        with tqdm(total=len(todo), desc=f"features, {view}", unit="picture", mininterval=5) as bar:
            digests: list[str] = []
            features: list[NDArray[np.float16]] = []
            for batch, pixels in _decoded(todo, view, height, width, unreadable):
                if batch:
                    features.append(extractor(pixels).astype(np.float16))
                    digests.extend(picture.digest for picture in batch)
                if len(digests) >= _PART:
                    store.add(view, digests, np.concatenate(features))
                    digests, features = [], []
                bar.update(len(batch))
            if digests:
                store.add(view, digests, np.concatenate(features))
    return unreadable


def _decoded(
    pictures: Sequence[Picture], view: str, height: int, width: int, unreadable: dict[str, str]
) -> Iterator[tuple[list[Picture], NDArray[np.uint8]]]:
    """Decode batches ahead of their use, in threads; pictures that fail go into `unreadable`."""

    def decode(batch: Sequence[Picture]) -> tuple[list[Picture], NDArray[np.uint8]]:
        good: list[Picture] = []
        pixels = np.empty((len(batch), height, width, 3), np.uint8)
        for picture in batch:
            try:
                decoded = decode_picture(picture.read(), height=height, width=width)
            except (PictureError, OSError) as error:
                unreadable[picture.digest] = str(error)
            else:
                pixels[len(good)] = make_view(decoded, view, picture.digest)
                good.append(picture)
        return good, pixels[: len(good)]

    with ThreadPoolExecutor(_BATCHES_AHEAD) as pool:
        ahead: deque[Future[tuple[list[Picture], NDArray[np.uint8]]]] = deque()
        for start in range(0, len(pictures), BATCH):
            ahead.append(pool.submit(decode, pictures[start : start + BATCH]))
            if len(ahead) > _BATCHES_AHEAD:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
