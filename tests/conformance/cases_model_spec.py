"""Which version a request means, and what is echoed."""

from collections.abc import Callable
from typing import Any, Final

import grpc

from tests.conformance.wire import Case, fill_spec, floats, metadata_request, predict_request

PREDICT: Final = "PredictionService/Predict"
METADATA: Final = "PredictionService/GetModelMetadata"
STATUS: Final = "ModelService/GetModelStatus"
NOT_FOUND: Final = grpc.StatusCode.NOT_FOUND
INVALID: Final = grpc.StatusCode.INVALID_ARGUMENT
PRECONDITION: Final = grpc.StatusCode.FAILED_PRECONDITION

X: Final = {"x": floats(1, 3)}


def _echo(version: int, y: list[float]) -> Callable[[Any], None]:
    def check(response: Any) -> None:
        spec = response.model_spec
        assert (spec.name, spec.version.value, spec.signature_name) == ("hpt", version, "serving_default")
        assert spec.WhichOneof("version_choice") == "version"
        assert list(response.outputs["y"].float_val) == y

    return check


def _without_spec() -> Any:
    request = predict_request("hpt", X)
    request.ClearField("model_spec")
    return request


def _bare_spec() -> Any:
    request = predict_request("", X)
    fill_spec(request.model_spec, "", version=None, label=None)
    return request


def _missing(name: str, model: str, version: int) -> Case:
    text = f"Servable not found for request: Specific({model}, {version})"
    return Case(name, PREDICT, predict_request(model, X, version=version), NOT_FOUND, text)


def _bad_label(name: str, model: str, label: str) -> Case:
    text = f"Unrecognized servable version label: {label}"
    return Case(name, PREDICT, predict_request(model, X, label=label), INVALID, text)


LATEST_NOPE: Final = "Servable not found for request: Latest(nope)"

CASES: Final = (
    Case("latest version", PREDICT, predict_request("hpt", X), check=_echo(2, [4.5, 5.5])),
    Case("version given", PREDICT, predict_request("hpt", X, version=1), check=_echo(1, [2.5, 3.5])),
    Case("label", PREDICT, predict_request("hpt", X, label="stable"), check=_echo(1, [2.5, 3.5])),
    Case("other label", PREDICT, predict_request("hpt", X, label="canary"), check=_echo(2, [4.5, 5.5])),
    Case(
        "signature given",
        PREDICT,
        predict_request("hpt", X, signature="serving_default"),
        check=_echo(2, [4.5, 5.5]),
    ),
    Case("unknown model", PREDICT, predict_request("nope", X), NOT_FOUND, LATEST_NOPE),
    _missing("unknown version", "hpt", 99),
    _missing("version 0", "hpt", 0),
    _missing("version -1", "hpt", -1),
    _missing("version on disk but not served", "hpt", 3),
    _missing("version of an unknown model", "nope", 1),
    _bad_label("unknown label", "hpt", "nolabel"),
    _bad_label("empty label", "hpt", ""),
    _bad_label("label of a model without labels", "pair", "stable"),
    _bad_label("label of an unknown model", "nope", "stable"),
    Case(
        "label on a version that is not loaded",
        PREDICT,
        predict_request("hpt", X, label="unloaded"),
        NOT_FOUND,
        "Servable not found for request: Specific(hpt, 3)",
    ),
    Case("no model_spec", PREDICT, _without_spec(), INVALID, "Missing ModelSpec"),
    Case("empty model_spec", PREDICT, _bare_spec(), INVALID, "ModelSpec has no name specified."),
    Case(
        "empty name with a version",
        PREDICT,
        predict_request("", X, version=1),
        INVALID,
        "ModelSpec has no name specified.",
    ),
    Case(
        "unknown signature",
        PREDICT,
        predict_request("hpt", X, signature="nosig"),
        PRECONDITION,
        'Serving signature key "nosig" not found.',
    ),
    Case(
        "model without a default signature",
        PREDICT,
        predict_request("types", X),
        PRECONDITION,
        'Serving signature key "serving_default" not found.',
    ),
    Case(
        "metadata of an unknown model",
        METADATA,
        metadata_request("nope", "signature_def"),
        NOT_FOUND,
        LATEST_NOPE,
    ),
    Case(
        "metadata of an unknown version",
        METADATA,
        metadata_request("hpt", "signature_def", version=99),
        NOT_FOUND,
        "Servable not found for request: Specific(hpt, 99)",
    ),
    Case(
        "metadata of an unknown label",
        METADATA,
        metadata_request("hpt", "signature_def", label="nolabel"),
        INVALID,
        "Unrecognized servable version label: nolabel",
    ),
    Case(
        "metadata without a name",
        METADATA,
        metadata_request("", "signature_def"),
        INVALID,
        "ModelSpec has no name specified.",
    ),
)
