"""Runs the tables of single calls."""

import pytest

from tests.conformance import cases_inputs, cases_model_spec, cases_status, cases_tensors
from tests.conformance.wire import Case, Client

TABLES = {
    "model_spec": cases_model_spec.CASES,
    "inputs": cases_inputs.CASES,
    "tensors": cases_tensors.CASES + cases_tensors.STRINGS,
    "status": cases_status.CASES,
}


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=f"{table}: {case.name}") for table, cases in TABLES.items() for case in cases],
)
def test_one_call(plain: Client, case: Case) -> None:
    case.verify(plain)


@pytest.mark.usefixtures("embedded_only")
@pytest.mark.parametrize("case", cases_inputs.NOT_OFFERED, ids=lambda case: str(case.name))
def test_not_offered(plain: Client, case: Case) -> None:
    case.verify(plain)
