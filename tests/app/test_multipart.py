"""Both ways to read a form: the quick search for what libraries send, and the parser for everything else."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.multipart import CutShortError, MalformedFormError, _parse, _search, field_values
from tests.app.test_upload import form

PIECES = st.lists(
    st.sampled_from(
        [
            b"\r\n",
            b"--",
            b"frontier",
            b"--frontier",
            b"\r\n--frontier",
            b"\r",
            b"\n",
            b"-",
            b"",
            b"x",
            b"Content-Disposition:",
        ]
    )
    | st.binary(max_size=5),
    max_size=8,
).map(b"".join)
NAMES = st.sampled_from(["files", "file", "other"])


@settings(deadline=None)
@given(parts=st.lists(st.tuples(NAMES, PIECES), min_size=1, max_size=4))
def test_the_quick_way_says_what_the_parser_says_or_nothing(parts: list[tuple[str, bytes]]) -> None:
    body = form(*parts)
    quick = _search(body, b"frontier", b"files")
    if quick is not None:
        assert quick == _parse(body, b"frontier", b"files")


@settings(deadline=None)
@given(body=PIECES)
def test_no_body_gets_past_the_parser(body: bytes) -> None:
    quick = _search(body, b"frontier", b"files")
    if quick is not None:
        assert quick == _parse(body, b"frontier", b"files")


def test_what_libraries_send_is_read_the_quick_way() -> None:
    body = form(("files", b"one"), ("other", b"--"), ("files", b""), ("files", b"\r\n--frontie"))
    assert _search(body, b"frontier", b"files") == [b"one", b"", b"\r\n--frontie"]
    assert _search(body[:-2], b"frontier", b"files") == [b"one", b"", b"\r\n--frontie"]


def test_what_they_do_not_send_is_read_all_the_same() -> None:
    body = form(("files", b"one")).replace(
        b"Content-Disposition:", b"X: y\r\ncontent-disposition :".replace(b" :", b":")
    )
    assert field_values(body, b"frontier", "files") == [b"one"]
    assert field_values(form(("files", b"\r\n--frontierspeople")), b"frontier", "files") == [
        b"\r\n--frontierspeople"
    ]
    assert field_values(form(("other", b"one")), b"frontier", "files") == []


@pytest.mark.parametrize("cut", [3, 30, 100, 160])
def test_a_body_that_was_cut_short_is_no_form(cut: int) -> None:
    with pytest.raises(MalformedFormError):
        field_values(form(("files", b"x" * 50))[:cut], b"frontier", "files")
    with pytest.raises(CutShortError):
        field_values(form(("files", b"x" * 50))[:-8], b"frontier", "files")
