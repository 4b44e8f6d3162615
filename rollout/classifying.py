"""Asking one version of a model for its ranking of a picture, as the gateway would."""

import math
import time
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from agreement import Ranking
from proto_client import InvalidReply, ModelMetadata, ModelServerClient, ModelServerError, Prediction
from rollout.errors import RolloutError

INPUT: Final = "images"
SIGNATURE: Final = "serving_default"
#: Every model's outputs (docs/architecture.md).
PROBABILITIES, CLASS_IDS, CLASS_NAMES = "probabilities", "class_ids", "class_names"
# Those that a product model has besides.
_GROUP_PROBABILITIES, _GROUP_NAMES = "group_probabilities", "group_names"
# What endpoints ask for, where a model has it, with the element types: the time that is measured must be that of
# their calls.
_ASKED: Final = {
    PROBABILITIES: "float32",
    CLASS_IDS: "string",
    CLASS_NAMES: "string",
    _GROUP_PROBABILITIES: "float32",
    _GROUP_NAMES: "string",
}

_ASK_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Version:
    """One version on one server.

    Attributes:
        client: Speaks with the server.
        model: The model's name there.
        number: The version's number.
        height: Rows of its input.
        width: Columns of its input.
        outputs: The names of its outputs.
    """

    client: ModelServerClient
    model: str
    number: int
    height: int
    width: int
    outputs: frozenset[str]

    async def rank(self, image: NDArray[np.uint8], seconds: float) -> tuple[Ranking, float]:
        """Ask for the ranking of one picture.

        Args:
            image: uint8 [height, width, 3], RGB.
            seconds: The deadline.

        Returns:
            (id, probability) of each class, likeliest first, and how many seconds the call took.

        Raises:
            ModelServerError: The call failed, or gateways could not read the answer.
        """
        began = time.perf_counter()
        prediction = await self.client.predict(
            {INPUT: image[np.newaxis]},
            model=self.model,
            version=self.number,
            signature=SIGNATURE,
            output_filter=sorted(self.outputs & _ASKED.keys()),
            timeout=seconds,
        )
        taken = time.perf_counter() - began
        return _ranking(prediction), taken


async def find_version(
    client: ModelServerClient, model: str, *, version: int | None = None, label: str | None = None
) -> Version:
    """Ask a server for a version: by number, by label, or the latest.

    Raises:
        RolloutError: It does not have it, or the version breaks the contract between models and gateway.
    """
    which = f"version {version}" if version is not None else f"label {label}" if label else "latest version"
    try:
        metadata = await client.model_metadata(
            model, version=version, version_label=label, timeout=_ASK_SECONDS
        )
    except ModelServerError as error:
        raise RolloutError(f"{client.target} has no {which} of {model} to compare: {error}.") from error
    return _read(client, metadata)


def _ranking(prediction: Prediction) -> Ranking:
    """Read all that gateways read, and as they do, though the ids and their probabilities alone are compared.

    Raises:
        InvalidReply: The outputs do not fit each other, a text is not UTF-8, or a probability is no number.
    """
    try:
        rows = {name: array[0] for name, array in prediction.outputs.items()}
        ranking = _read_classes(rows[CLASS_IDS], rows[CLASS_NAMES], rows[PROBABILITIES])
        if _GROUP_NAMES in rows and _GROUP_PROBABILITIES in rows:
            groups = zip(ranking, rows[_GROUP_NAMES], rows[_GROUP_PROBABILITIES], strict=True)
            for _, names, probabilities in groups:
                _read_groups(names, probabilities)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise InvalidReply(f"The outputs cannot be read: {error}.") from error
    return ranking


def _read_classes(ids: NDArray[Any], names: NDArray[Any], probabilities: NDArray[Any]) -> Ranking:
    ranking = []
    for ident, name, probability in zip(ids, names, probabilities, strict=True):
        name.decode()
        ranking.append((ident.decode(), _finite(probability)))
    return ranking


def _read_groups(names: NDArray[Any], probabilities: NDArray[Any]) -> None:
    # Behind the groups of a type that has fewer than the others stand empty names; what is beside them nobody reads.
    for name, probability in zip(names, probabilities, strict=True):
        if name:
            name.decode()
            _finite(probability)


def _finite(probability: Any) -> float:
    number = float(probability)
    if not math.isfinite(number):
        raise ValueError(f"a probability is {number}")
    return number


def _read(client: ModelServerClient, metadata: ModelMetadata) -> Version:
    where = f"Version {metadata.version} of {metadata.model} on {client.target}"
    signature = metadata.signatures.get(SIGNATURE)
    if signature is None:
        raise RolloutError(f"{where} has no signature {SIGNATURE}: no gateway could use it.")
    missing = {PROBABILITIES, CLASS_IDS, CLASS_NAMES} - signature.outputs.keys()
    if missing:
        raise RolloutError(
            f"{where} lacks the outputs {', '.join(sorted(missing))}: no gateway could use it."
        )
    for name in sorted(signature.outputs.keys() & _ASKED.keys()):
        if (found := signature.outputs[name].dtype) != _ASKED[name]:
            raise RolloutError(
                f"{where}: the output {name} must be {_ASKED[name]}, not {found}: no gateway could use it."
            )
    images = signature.inputs.get(INPUT)
    if images is not None and len(signature.inputs) == 1 and images.dtype == "uint8":
        match images.shape:
            case (None, int() as height, int() as width, 3):
                return Version(
                    client, metadata.model, metadata.version, height, width, frozenset(signature.outputs)
                )
    raise RolloutError(
        f"{where} must have the one input {INPUT}, uint8 [batch, height, width, 3]: no gateway could use it."
    )
