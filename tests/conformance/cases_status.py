"""GetModelStatus and GetModelMetadata."""

from collections.abc import Callable
from typing import Any, Final

from tests.conformance.cases_model_spec import INVALID, METADATA, NOT_FOUND, STATUS
from tests.conformance.wire import Case, metadata_request, signature_map, status_request

AVAILABLE: Final = 30
NO_FIELD: Final = "GetModelMetadataRequest must specify at least one metadata_field"
BAD_FIELD: Final = "Metadata field foo is not supported"


def _available(*versions: int) -> Callable[[Any], None]:
    def check(response: Any) -> None:
        rows = [(row.version, row.state, row.status.error_code) for row in response.model_version_status]
        assert rows == [(version, AVAILABLE, 0) for version in versions]

    return check


def _spec(version: int) -> Callable[[Any], None]:
    def check(response: Any) -> None:
        assert (response.model_spec.name, response.model_spec.version.value) == ("hpt", version)
        signature_map(response)

    return check


def _pair_signatures(response: Any) -> None:
    signatures = signature_map(response)
    assert {"serving_default", "sum", "difference"} <= set(signatures)
    default = signatures["serving_default"]
    assert default.method_name == "tensorflow/serving/predict"
    assert (set(default.inputs), set(default.outputs)) == ({"a", "b"}, {"probs", "score"})
    assert default.inputs["a"].name == "serving_default_a:0"
    assert [dim.size for dim in default.inputs["a"].tensor_shape.dim] == [-1]


def _image_shape(response: Any) -> None:
    info = signature_map(response)["serving_default"].inputs["images"]
    assert [dim.size for dim in info.tensor_shape.dim] == [-1, 224, 224, 3]
    assert info.dtype == 4


def _without_spec(request: Any) -> Any:
    request.ClearField("model_spec")
    return request


CASES: Final = (
    Case("status of all versions", STATUS, status_request("hpt"), check=_available(2, 1)),
    Case("status of one version", STATUS, status_request("hpt", 1), check=_available(1)),
    Case("status ignores the label", STATUS, status_request("hpt", label="stable"), check=_available(2, 1)),
    Case(
        "status ignores an unknown label", STATUS, status_request("hpt", label="no"), check=_available(2, 1)
    ),
    Case(
        "status of an unknown model",
        STATUS,
        status_request("nope"),
        NOT_FOUND,
        "Could not find any versions of model nope",
    ),
    Case(
        "status of an unknown version",
        STATUS,
        status_request("hpt", 3),
        NOT_FOUND,
        "Could not find version 3 of model hpt",
    ),
    Case(
        "status of an unknown version 0",
        STATUS,
        status_request("hpt", 0),
        NOT_FOUND,
        "Could not find version 0 of model hpt",
    ),
    Case(
        "status without a model_spec",
        STATUS,
        _without_spec(status_request("hpt")),
        INVALID,
        "Missing ModelSpec",
    ),
    Case("metadata of the latest", METADATA, metadata_request("hpt", "signature_def"), check=_spec(2)),
    Case(
        "metadata of a version", METADATA, metadata_request("hpt", "signature_def", version=1), check=_spec(1)
    ),
    Case(
        "metadata of a label",
        METADATA,
        metadata_request("hpt", "signature_def", label="stable"),
        check=_spec(1),
    ),
    Case(
        "metadata names every signature",
        METADATA,
        metadata_request("pair", "signature_def"),
        check=_pair_signatures,
    ),
    Case(
        "metadata tells shapes and dtypes",
        METADATA,
        metadata_request("image", "signature_def"),
        check=_image_shape,
    ),
    Case(
        "metadata asked for twice",
        METADATA,
        metadata_request("hpt", "signature_def", "signature_def"),
        check=_spec(2),
    ),
    Case("metadata: no field", METADATA, metadata_request("hpt"), INVALID, NO_FIELD),
    Case("metadata: bad field", METADATA, metadata_request("hpt", "foo"), INVALID, BAD_FIELD),
    Case(
        "metadata: bad beside good field",
        METADATA,
        metadata_request("hpt", "signature_def", "foo"),
        INVALID,
        BAD_FIELD,
    ),
    Case("metadata: no field, unknown model", METADATA, metadata_request("nope"), INVALID, NO_FIELD),
    Case("metadata: bad field, unknown model", METADATA, metadata_request("nope", "foo"), INVALID, BAD_FIELD),
    Case(
        "metadata without a model_spec",
        METADATA,
        _without_spec(metadata_request("hpt", "signature_def")),
        INVALID,
        "Missing ModelSpec",
    ),
)
