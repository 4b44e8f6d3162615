import grpc
import pytest

from model_server.errors import MESSAGE_LIMIT, TRUNCATION_MARK, ServingError, invalid_argument, status_code


@pytest.mark.parametrize("length", [0, 1, MESSAGE_LIMIT])
def test_short_messages_are_sent_whole(length: int) -> None:
    assert invalid_argument("x" * length).wire_message == "x" * length


def test_long_messages_are_cut_and_marked() -> None:
    assert invalid_argument("x" * (MESSAGE_LIMIT + 1)).wire_message == "x" * MESSAGE_LIMIT + TRUNCATION_MARK


def test_codes_and_numbers_agree() -> None:
    for code in grpc.StatusCode:
        assert status_code(ServingError(code, "").number) is code
    assert status_code(99) is grpc.StatusCode.UNKNOWN
