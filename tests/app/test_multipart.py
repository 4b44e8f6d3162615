"""Both ways to read a form: the quick search for what libraries send, and the parser for everything else."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.multipart import (
    MOST_PARTS,
    CutShortError,
    MalformedFormError,
    TooManyPartsError,
    _parse,
    _search,
    field_values,
)
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
    quick = _search(body, b"frontier", b"files", MOST_PARTS)
    if quick is not None:
        assert quick == _parse(body, b"frontier", b"files", MOST_PARTS)


@settings(deadline=None)
@given(body=PIECES)
def test_no_body_gets_past_the_parser(body: bytes) -> None:
    quick = _search(body, b"frontier", b"files", MOST_PARTS)
    if quick is not None:
        assert quick == _parse(body, b"frontier", b"files", MOST_PARTS)


def test_what_libraries_send_is_read_the_quick_way() -> None:
    body = form(("files", b"one"), ("other", b"--"), ("files", b""), ("files", b"\r\n--frontie"))
    assert _search(body, b"frontier", b"files", MOST_PARTS) == [b"one", b"", b"\r\n--frontie"]
    assert _search(body[:-2], b"frontier", b"files", MOST_PARTS) == [b"one", b"", b"\r\n--frontie"]


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


# The parser alone takes what stands before the first boundary.
PREAMBLES = pytest.mark.parametrize("preamble", [b"", b"\r\n"], ids=["quick", "parser"])


@PREAMBLES
def test_there_may_be_so_many_parts_and_no_more(preamble: bytes) -> None:
    body = preamble + form(*[("other", b"")] * 9, ("files", b"one"))
    assert field_values(body, b"frontier", "files", most_parts=10) == [b"one"]
    with pytest.raises(TooManyPartsError, match="more than 9 parts"):
        field_values(body, b"frontier", "files", most_parts=9)


def test_lines_that_only_begin_as_a_boundary_are_as_few() -> None:
    body = form(("files", b"\r\n--frontiers" * 10))
    assert field_values(body, b"frontier", "files", most_parts=10) == [b"\r\n--frontiers" * 10]
    with pytest.raises(TooManyPartsError):
        field_values(body, b"frontier", "files", most_parts=9)


@PREAMBLES
def test_the_headers_of_a_part_are_bounded_together(preamble: bytes) -> None:
    whole = form(("files", b"one"))
    for size, fits in ((3900, True), (4100, False)):
        body = preamble + whole.replace(
            b"\r\n\r\n", b"\r\nX-A: %b\r\nX-B: %b\r\n\r\n" % ((b"x" * (size // 2),) * 2), 1
        )
        if fits:
            assert field_values(body, b"frontier", "files") == [b"one"]
        else:
            with pytest.raises(MalformedFormError, match="headers are too long"):
                field_values(body, b"frontier", "files")


@PREAMBLES
def test_the_parameters_of_a_part_are_bounded(preamble: bytes) -> None:
    body = preamble + form(("files", b"one"))
    assert field_values(body.replace(b"a.jpg", b";" * 60), b"frontier", "files") == [b"one"]
    with pytest.raises(MalformedFormError, match="too many parameters"):
        field_values(body.replace(b"a.jpg", b";" * 70), b"frontier", "files")


@PREAMBLES
def test_a_long_name_of_a_file_is_read(preamble: bytes) -> None:
    # 255 letters of Devanagari, as a browser encodes them.
    name = b"%E0%A4%95" * 255
    body = preamble + form(("files", b"one")).replace(b"a.jpg", name)
    assert field_values(body, b"frontier", "files") == [b"one"]
