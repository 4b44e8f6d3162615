import pytest

from catalogue import CatalogueError
from catalogue.sports_api import ApiSport, parse_dump
from tests.catalogue.examples import resource


def test_reads_ids_as_text_or_number() -> None:
    dump = {"data": [resource("66", "skiing", " Skiing "), resource(74, "baseball", "Baseball")], "links": {}}
    assert parse_dump(dump, "dump") == (
        ApiSport("66", "skiing", "Skiing"),
        ApiSport("74", "baseball", "Baseball"),
    )


@pytest.mark.parametrize("dump", [[], {}, {"data": None}, {"errors": []}, "data", None])
def test_refuses_what_is_no_dump(dump: object) -> None:
    with pytest.raises(CatalogueError, match="is not a dump of the Sports API"):
        parse_dump(dump, "dump")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (7, r"data\[0\] must be an object"),
        ({"id": "1", "type": "group"}, "must be of the type \"sport\", not 'group'"),
        ({"type": "sport"}, "needs a whole number of at most 18 digits as id, not None"),
        ({"id": True, "type": "sport"}, "needs a whole number of at most 18 digits as id, not True"),
        ({"id": "skiing", "type": "sport"}, "needs a whole number of at most 18 digits as id"),
        ({"id": "٣", "type": "sport"}, "needs a whole number of at most 18 digits as id"),
        ({"id": 0, "type": "sport"}, "needs a whole number of at most 18 digits as id"),
        ({"id": 10**18, "type": "sport"}, "needs a whole number of at most 18 digits as id"),
        # More than int() takes.
        ({"id": "1" * 5_000, "type": "sport"}, "needs a whole number of at most 18 digits as id"),
        ({"id": "1", "type": "sport"}, r"\(id 1\) needs an object as attributes"),
        (
            {"id": "1", "type": "sport", "attributes": {"name": "Ski"}},
            "needs texts as attributes name and slug",
        ),
        (resource("1", "ski", "Ski \ud800"), r"\(id 1\) has a name or slug that UTF-8 cannot hold"),
        (resource("1", "ski-\ud800", "Ski"), r"\(id 1\) has a name or slug that UTF-8 cannot hold"),
    ],
)
def test_says_which_entry_is_wrong(entry: object, message: str) -> None:
    with pytest.raises(CatalogueError, match=message):
        parse_dump({"data": [entry]}, "dump")


def test_refuses_an_id_that_occurs_twice_and_an_empty_dump() -> None:
    twice = [resource("1", "a", "A"), resource(1, "b", "B")]
    with pytest.raises(CatalogueError, match="the id 1 occurs twice: A and B"):
        parse_dump({"data": twice}, "dump")
    with pytest.raises(CatalogueError, match="is empty"):
        parse_dump({"data": []}, "dump")
