"""PredictRequest to feeds and fetches, and outputs to PredictResponse.

The order of the checks is part of the contract: signature, number of inputs, their names and tensors, output filter.
The dtype is checked last, by the session itself. The source of the rules is TensorFlow Serving's ``predict_util``
and what was observed of the server.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tensorflow_serving.apis import predict_pb2

from model_server.errors import failed_precondition, invalid_argument
from model_server.tensors import Array, TensorParsingError, from_proto, to_proto

DEFAULT_SIGNATURE: Final = "serving_default"


@dataclass(frozen=True)
class Prediction:
    """A checked request.

    Attributes:
        model: The model's name, to be echoed.
        signature_name: The signature, filled in when the request left it empty.
        feeds: Array of each fed tensor name.
        outputs: Pairs of (alias, tensor name) to compute, in the order asked for.
    """

    model: str
    signature_name: str
    feeds: dict[str, Array]
    outputs: tuple[tuple[str, str], ...]

    @property
    def fetches(self) -> tuple[str, ...]:
        """The distinct tensor names to compute, sorted."""
        return tuple(sorted({name for _, name in self.outputs}))


def check_request(signatures: Mapping[str, Any], request: Any) -> Prediction:
    """Checks a request against a model's signatures and reads its tensors.

    Args:
        signatures: ``SignatureDef`` of each signature.
        request: A ``tensorflow.serving.PredictRequest``.

    Returns:
        What to run.

    Raises:
        ServingError: FAILED_PRECONDITION for an unknown signature, INVALID_ARGUMENT for anything else that is wrong.
    """
    name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    signature = signatures.get(name)
    if signature is None:
        raise failed_precondition(f'Serving signature key "{name}" not found.')
    return Prediction(
        model=request.model_spec.name,
        signature_name=name,
        feeds=_feeds(signature, request.inputs),
        outputs=_outputs(signature, request.output_filter),
    )


def respond(prediction: Prediction, version: int, values: Mapping[str, Array], *, as_content: bool) -> bytes:
    """Makes the answer.

    Args:
        prediction: The request.
        version: The version that answered.
        values: Array of each tensor name.
        as_content: Send numbers as ``tensor_content`` instead of ``*_val``.

    Returns:
        A serialised ``tensorflow.serving.PredictResponse``.
    """
    response = predict_pb2.PredictResponse()
    response.model_spec.name = prediction.model
    response.model_spec.version.value = version
    response.model_spec.signature_name = prediction.signature_name
    for alias, name in prediction.outputs:
        to_proto(values[name], response.outputs[alias], as_content=as_content)
    serialised: bytes = response.SerializeToString()
    return serialised


def _feeds(signature: Any, inputs: Any) -> dict[str, Array]:
    too_few = len(inputs) < len(signature.inputs) and not signature.defaults
    if len(inputs) > len(signature.inputs) or too_few:
        sent, expected = set(inputs), set(signature.inputs)
        raise invalid_argument(
            f"input size does not match signature: {len(sent)}!={len(expected)} "
            f"len({_braced(sent)}) != len({_braced(expected)}). "
            f"Sent extra: {_braced(sent - expected)}. Missing but required: {_braced(expected - sent)}."
        )
    feeds = {}
    for alias in sorted(signature.inputs):
        feed_name = signature.inputs[alias].name
        if alias in inputs:
            proto = inputs[alias]
        elif alias in signature.defaults:
            proto = signature.defaults[alias]
        else:
            raise invalid_argument(
                f"Signature input alias: {alias}(feed name: {feed_name}) not found in request and no default value "
                f"provided. Inputs expected to be in the request {_braced(inputs)}, or default input alias set: "
                + ",".join(sorted(signature.defaults))
            )
        try:
            feeds[feed_name] = from_proto(proto)
        except TensorParsingError as error:
            raise invalid_argument(f"tensor parsing error: {alias}") from error
    return feeds


def _outputs(signature: Any, output_filter: Sequence[str]) -> tuple[tuple[str, str], ...]:
    chosen: dict[str, str] = {}
    for alias in output_filter:
        if alias not in signature.outputs:
            raise invalid_argument(
                f"output tensor alias not found in signature: {alias} "
                f"Outputs expected to be in the set {_braced(signature.outputs)}."
            )
        if alias in chosen:
            raise invalid_argument(f"duplicate output tensor alias: {alias}")
        chosen[alias] = signature.outputs[alias].name
    return tuple((chosen or {alias: info.name for alias, info in signature.outputs.items()}).items())


def _braced(names: Iterable[str]) -> str:
    return "{" + ",".join(sorted(names)) + "}"
