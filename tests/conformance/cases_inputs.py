"""Inputs, output_filter, the order of the checks, and what is no proper call."""

from typing import Any, Final

import grpc

from tests.conformance.cases_model_spec import INVALID, METADATA, PRECONDITION, PREDICT, STATUS
from tests.conformance.wire import Case, floats, predict_request, tensor

A: Final = floats(1, 2)
B: Final = floats(3, 5)
ONE: Final = floats(1)
BOTH: Final = {"a": A, "b": B}
BAD: Final = tensor("float", 2, content=b"123")
INTS: Final = tensor("int32", 2, int_val=[1, 2])
RELOAD: Final = "ModelService/HandleReloadConfigRequest"


def _pair(inputs: dict[str, Any], *outputs: str, signature: str = "") -> Any:
    return predict_request("pair", inputs, outputs=outputs, signature=signature)


def _outputs(**expected: list[float]) -> Any:
    def check(response: Any) -> None:
        assert {alias: list(proto.float_val) for alias, proto in response.outputs.items()} == expected

    return check


def _empty(response: Any) -> None:
    for proto in response.outputs.values():
        assert [dim.size for dim in proto.tensor_shape.dim] == [0]
        assert not proto.float_val


def _not_found_text(alias: str, sent: str) -> str:
    return (
        f"Signature input alias: {alias}(feed name: serving_default_{alias}:0) not found in request and no default "
        f"value provided. Inputs expected to be in the request {{{sent}}}, or default input alias set: "
    )


def _count_text(counts: str, sent: str, extra: str, missing: str) -> str:
    return (
        f"input size does not match signature: {counts} len({{{sent}}}) != len({{a,b}}). "
        f"Sent extra: {{{extra}}}. Missing but required: {{{missing}}}."
    )


NO_ALIAS: Final = (
    "output tensor alias not found in signature: nope Outputs expected to be in the set {probs,score}."
)
DUPLICATE: Final = "duplicate output tensor alias: score"
HPT_MISSING: Final = _not_found_text("x", "z")

CASES: Final = (
    Case("all outputs", PREDICT, _pair(BOTH), check=_outputs(probs=[4, 7], score=[3, 10])),
    Case("one output", PREDICT, _pair(BOTH, "score"), check=_outputs(score=[3, 10])),
    Case(
        "outputs in another order",
        PREDICT,
        _pair(BOTH, "score", "probs"),
        check=_outputs(probs=[4, 7], score=[3, 10]),
    ),
    Case("another signature", PREDICT, _pair(BOTH, signature="difference"), check=_outputs(total=[-2, -3])),
    Case("wrong name, same count", PREDICT, predict_request("hpt", {"z": ONE}), INVALID, HPT_MISSING),
    Case("one wrong name of two", PREDICT, _pair({"a": A, "z": B}), INVALID, _not_found_text("b", "a,z")),
    Case("too few inputs", PREDICT, _pair({"a": A}), INVALID, _count_text("1!=2", "a", "", "b")),
    Case("no inputs", PREDICT, _pair({}), INVALID, _count_text("0!=2", "", "", "a,b")),
    Case("too many inputs", PREDICT, _pair({**BOTH, "c": A}), INVALID, _count_text("3!=2", "a,b,c", "c", "")),
    Case("wrong count and name", PREDICT, _pair({"z": A}), INVALID, _count_text("1!=2", "z", "z", "a,b")),
    Case(
        "wrong dtype",
        PREDICT,
        predict_request("hpt", {"x": INTS}),
        INVALID,
        "Expects arg[0] to be float but int32 is provided",
    ),
    Case(
        "wrong dtype, string",
        PREDICT,
        predict_request("hpt", {"x": tensor("string", 1, string_val=[b"1"])}),
        INVALID,
        "Expects arg[0] to be float but string is provided",
    ),
    Case(
        "wrong dtype, float for uint8",
        PREDICT,
        predict_request("image", {"images": tensor("float", 1, 224, 224, 3, float_val=[1])}),
        INVALID,
        "Expects arg[0] to be uint8 but float is provided",
    ),
    Case(
        "a rank other than the signature's",
        PREDICT,
        predict_request("hpt", {"x": tensor("float", 2, 2, float_val=[2])}, version=1),
        check=_outputs(y=[3, 3, 3, 3]),
    ),
    Case(
        "a scalar where the signature has a batch",
        PREDICT,
        predict_request("hpt", {"x": tensor("float", float_val=[2])}, version=1),
        check=_outputs(y=[3]),
    ),
    Case(
        "a shape that an operation refuses",
        PREDICT,
        predict_request("picky", {"x": tensor("float", 1, 4, float_val=[1])}),
        INVALID,
        starts="Matrix size-incompatible",
    ),
    Case("sizes that cannot be added", PREDICT, _pair({"a": floats(1, 2, 3), "b": B}), INVALID),
    Case("empty batch", PREDICT, predict_request("hpt", {"x": tensor("float", 0)}), check=_empty),
    Case(
        "empty batch of two inputs",
        PREDICT,
        _pair({"a": tensor("float", 0), "b": tensor("float", 0)}),
        check=_empty,
    ),
    Case("filter: unknown name", PREDICT, _pair(BOTH, "nope"), INVALID, NO_ALIAS),
    Case("filter: unknown beside known", PREDICT, _pair(BOTH, "score", "nope"), INVALID, NO_ALIAS),
    Case("filter: duplicate", PREDICT, _pair(BOTH, "score", "score"), INVALID, DUPLICATE),
    Case(
        "order: signature before inputs",
        PREDICT,
        _pair({"a": BAD}, "nope", signature="nosig"),
        PRECONDITION,
        'Serving signature key "nosig" not found.',
    ),
    Case(
        "order: count before tensors",
        PREDICT,
        _pair({"a": BAD}, "nope"),
        INVALID,
        _count_text("1!=2", "a", "", "b"),
    ),
    Case(
        "order: tensors before filter",
        PREDICT,
        _pair({"a": A, "b": BAD}, "nope"),
        INVALID,
        "tensor parsing error: b",
    ),
    Case(
        "order: names before filter",
        PREDICT,
        predict_request("hpt", {"z": ONE}, outputs=("nope",)),
        INVALID,
        HPT_MISSING,
    ),
    Case("order: filter before dtype", PREDICT, _pair({"a": A, "b": INTS}, "nope"), INVALID, NO_ALIAS),
    Case("garbage for Predict", PREDICT, b"\xff\xff\xff\xff", grpc.StatusCode.INTERNAL, ""),
    Case("garbage for GetModelMetadata", METADATA, b"\x0a\xff", grpc.StatusCode.INTERNAL, ""),
    Case("garbage for GetModelStatus", STATUS, b"\x0a\xff", grpc.StatusCode.INTERNAL, ""),
    Case("garbage for HandleReloadConfigRequest", RELOAD, b"\x0a\xff", grpc.StatusCode.INTERNAL, ""),
    Case("unknown method", "PredictionService/Guess", b"", grpc.StatusCode.UNIMPLEMENTED),
    Case("unknown service", "tensorflow.serving.GuessService/Guess", b"", grpc.StatusCode.UNIMPLEMENTED),
    Case("SessionRun", "SessionService/SessionRun", b"", grpc.StatusCode.UNIMPLEMENTED),
    Case("health", "grpc.health.v1.Health/Check", b"", grpc.StatusCode.UNIMPLEMENTED),
    Case(
        "reflection",
        "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        b"",
        grpc.StatusCode.UNIMPLEMENTED,
    ),
    Case(
        "a long message is cut",
        PREDICT,
        predict_request("hpt", {"x": ONE}, signature="s" * 3000),
        PRECONDITION,
        starts='Serving signature key "' + "s" * 1000,
        ends="s...TRUNCATED",
    ),
)

# The real server offers these; the embedded one says that it does not.
NOT_OFFERED: Final = tuple(
    Case(name, f"PredictionService/{name}", b"", grpc.StatusCode.UNIMPLEMENTED)
    for name in ("Classify", "Regress", "MultiInference")
)
