"""Answers of an exported model, asked as a model server asks it: through its signature."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tqdm import tqdm

from preprocessing import PictureError, decode_picture
from training.data import Picture
from training.errors import DataError, ExportError
from training.export import SIGNATURE


@dataclass(frozen=True, slots=True)
class Answers:
    """What a model answered, picture by picture.

    Attributes:
        class_ids: The ids, likeliest first.
        probabilities: float32 [pictures, k].
        names: The name of each class answered, by id.
    """

    class_ids: list[list[str]]
    probabilities: NDArray[np.float32]
    names: dict[str, str]


class ExportedModel:
    """A SavedModel under the house's contract.

    Attributes:
        height: Rows of its input.
        width: Columns of its input.
        signature: What it answers through, a concrete function of TensorFlow.
    """

    def __init__(self, directory: Path) -> None:
        """Load a version.

        Args:
            directory: The version's folder.

        Raises:
            ExportError: There is no SavedModel, or one without the contract's signature.
        """
        try:
            self._model = tf.saved_model.load(str(directory))
            self.signature = self._model.signatures[SIGNATURE]
            spec = self.signature.structured_input_signature[1]["images"]
        except (OSError, KeyError) as error:
            raise ExportError(
                f"{directory} holds no model with the signature {SIGNATURE} and its images."
            ) from error
        self.height, self.width = int(spec.shape[1]), int(spec.shape[2])

    def answer(self, pixels: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        """Ask the signature: uint8 [batch, height, width, 3] in; the contract's outputs as arrays."""
        return {name: value.numpy() for name, value in self.signature(images=tf.constant(pixels)).items()}

    def answer_pictures(self, pictures: Sequence[Picture], *, batch: int = 32) -> Answers:
        """Decode pictures as the gateway does, and ask for each.

        Args:
            pictures: Pictures that can be decoded.
            batch: Pictures in a request.

        Returns:
            The answers, in the order of the pictures.

        Raises:
            DataError: A picture cannot be decoded; the message names it.
        """
        ids: list[list[str]] = []
        names: dict[str, str] = {}
        probabilities = []
        for start in tqdm(range(0, len(pictures), batch), desc="evaluation", unit="batch", mininterval=5):
            pixels = np.stack([self.decode(picture) for picture in pictures[start : start + batch]])
            answer = self.answer(pixels)
            rows = [[one.decode() for one in row] for row in answer["class_ids"].tolist()]
            ids.extend(rows)
            for row, called in zip(rows, answer["class_names"].tolist(), strict=True):
                names.update(zip(row, (one.decode() for one in called), strict=True))
            probabilities.append(answer["probabilities"])
        return Answers(
            ids, np.concatenate(probabilities) if probabilities else np.empty((0, 0), np.float32), names
        )

    def outputs_for(self, pictures: Sequence[Picture], *, batch: int = 32) -> dict[str, NDArray[Any]]:
        """All outputs of the signature for pictures, [pictures, ...] each, as `answer` gives them.

        Raises:
            DataError: A picture cannot be decoded, or there are none.
        """
        answers = [
            self.answer(np.stack([self.decode(picture) for picture in pictures[start : start + batch]]))
            for start in tqdm(range(0, len(pictures), batch), desc="outputs", unit="batch", mininterval=5)
        ]
        if not answers:
            raise DataError("There are no pictures to ask.")
        return {name: np.concatenate([one[name] for one in answers]) for name in answers[0]}

    def decode(self, picture: Picture) -> NDArray[np.uint8]:
        """Decode a picture for this model as the gateway does: uint8 [height, width, 3].

        Raises:
            DataError: It cannot be decoded; the message names it.
        """
        try:
            return decode_picture(picture.read(), height=self.height, width=self.width)
        except (PictureError, OSError) as error:
            raise DataError(f"{picture.place} cannot be decoded: {error}") from error
