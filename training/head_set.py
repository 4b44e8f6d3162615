"""The heads of a network: questions that one inference answers, each by a softmax over classes of its own."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from training.calibration import softmax

#: The head of product types; the heads of their groups are its children, `product_group/<type id>`.
TYPE, GROUP = "product_type", "product_group"
#: How the one head of a run is called that was trained for a task, where not as the task.
_HEAD_OF = {"product": TYPE}
#: The value of a picture for a head that nobody has answered for it.
UNKNOWN = -1


@dataclass(frozen=True, slots=True)
class Head:
    """One question.

    Attributes:
        name: Its name, for instance `sport`, or `product_group/boots`.
        ids: The id of each class, in the order of the head's outputs.
        names: The name of each class, in the same order.
        weight: What its loss counts for.
        temperature: What its logits are divided by in the exported model.
    """

    name: str
    ids: tuple[str, ...]
    names: tuple[str, ...]
    weight: float = 1.0
    temperature: float = 1.0


@dataclass(frozen=True, slots=True)
class HeadSet:
    """Heads side by side: their logits are the columns of one matrix.

    Attributes:
        heads: In the order of the columns.
    """

    heads: tuple[Head, ...]

    @property
    def columns(self) -> int:
        """How many logits all heads have."""
        return sum(len(head.ids) for head in self.heads)

    @property
    def slices(self) -> dict[str, slice]:
        """The columns of each head, by its name."""
        ends = np.cumsum([len(head.ids) for head in self.heads]).tolist()
        return {
            head.name: slice(end - len(head.ids), end) for head, end in zip(self.heads, ends, strict=True)
        }

    def __getitem__(self, name: str) -> Head:
        """The head of a name; KeyError where there is none."""
        return {head.name: head for head in self.heads}[name]

    def one_hot(
        self, values: NDArray[np.int64], weights: Sequence[NDArray[np.float32]]
    ) -> NDArray[np.float32]:
        """Targets of some pictures.

        Args:
            values: int64 [pictures, heads]: the class of each picture for each head, or `UNKNOWN`.
            weights: For each head, float32 [classes]: what a picture of that class counts for.

        Returns:
            float32 [pictures, columns]: the weight in the column of the class; all zero for a head that is unknown,
            so that it takes no part in the loss.
        """
        targets = np.zeros((len(values), self.columns), np.float32)
        for place, part in enumerate(self.slices.values()):
            known = np.flatnonzero(values[:, place] != UNKNOWN)
            classes = values[known, place]
            targets[known, part.start + classes] = weights[place][classes]
        return targets

    def with_temperatures(self, measured: Mapping[str, Mapping[str, Any]]) -> "HeadSet":
        """The same heads, those that were measured with the `temperature` that was fitted, by name."""
        return HeadSet(
            tuple(
                dataclasses.replace(head, temperature=measured[head.name]["temperature"])
                if head.name in measured
                else head
                for head in self.heads
            )
        )

    def temperatures(self) -> NDArray[np.float32]:
        """The temperature of each column, float32 [columns]."""
        return np.concatenate([np.full(len(head.ids), head.temperature, np.float32) for head in self.heads])

    def softmax(self, logits: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Probabilities, [pictures, columns], of logits, [pictures, columns], each head's at its temperature."""
        parts = self.slices
        return np.concatenate(
            [softmax(logits[:, parts[head.name]], head.temperature) for head in self.heads], axis=1
        )

    def as_json(self) -> list[dict[str, Any]]:
        """The heads as plain values."""
        return [
            {
                "name": head.name,
                "weight": head.weight,
                "temperature": head.temperature,
                "classes": [
                    {"id": one, "name": name} for one, name in zip(head.ids, head.names, strict=True)
                ],
            }
            for head in self.heads
        ]

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "HeadSet":
        """The heads that a run recorded; a run of one head recorded its classes alone."""
        alone = {
            "name": _HEAD_OF.get(record["settings"]["task"], record["settings"]["task"]),
            "classes": record["classes"],
            "temperature": record.get("temperature") or record["chosen"].get("temperature", 1.0),
        }
        return cls(
            tuple(
                Head(
                    row["name"],
                    tuple(one["id"] for one in row["classes"]),
                    tuple(one["name"] for one in row["classes"]),
                    row.get("weight", 1.0),
                    row["temperature"],
                )
                for row in record.get("heads", [alone])
            )
        )


def rows_with_temperatures(
    rows: Sequence[Mapping[str, Any]], measured: Mapping[str, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """A run's recorded `heads`, those that were measured with the `temperature` that was fitted, by name."""
    return [
        {**row, "temperature": measured[row["name"]]["temperature"]} if row["name"] in measured else dict(row)
        for row in rows
    ]


class HeadsLoss(keras.losses.Loss):  # type: ignore[misc]
    """The sum of the heads' cross-entropies, from logits; a head that a picture has no target for adds nothing.

    A target's sum over a head is its weight: 1 for an ordinary picture, 0 for an unknown one, between for a picture
    mixed of both. Label smoothing (Szegedy et al. 2016) spreads a share of just that weight over the head's classes.
    """

    def __init__(self, parts: Iterable[slice], label_smoothing: float = 0.0) -> None:
        """Make the loss.

        Args:
            parts: The columns of each head.
            label_smoothing: The share spread over all classes of a head.
        """
        super().__init__(name="heads_loss")
        self._parts = tuple(parts)
        self._smoothing = label_smoothing

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The loss of each picture, [batch], from targets and logits, both [batch, columns]."""
        total = 0.0
        for part in self._parts:
            target = y_true[:, part]
            spread = ops.mean(target, axis=-1, keepdims=True)
            target = (1 - self._smoothing) * target + self._smoothing * spread
            total = total - ops.sum(target * ops.log_softmax(y_pred[:, part], axis=-1), axis=-1)
        return total
