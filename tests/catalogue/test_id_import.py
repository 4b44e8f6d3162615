from typing import Any

from catalogue import parse_catalogue
from catalogue.id_import import ImportResult, import_ids
from catalogue.sports_api import parse_dump
from tests.catalogue.examples import document, resource, sport


def imported(sports: list[dict[str, Any]], resources: list[dict[str, Any]]) -> ImportResult:
    catalogue = parse_catalogue(document(*sports), "test")
    return import_ids(catalogue, parse_dump({"data": resources}, "dump"))


def ids(result: ImportResult) -> dict[str, str]:
    return {one.slug: one.id for one in result.catalogue.sports}


def test_maps_by_slug_and_keeps_the_old_id() -> None:
    result = imported([sport("luge")], [resource("300", "luge", "Rodel")])
    luge = result.catalogue.by_id("300")
    assert luge is not None
    assert luge is result.catalogue.by_id("10001")
    assert (luge.id, luge.id_source, luge.former_ids, luge.name) == ("300", "sports-api", ("10001",), "Luge")
    assert [(ours.id, theirs.id) for ours, theirs in result.mapped] == [("10001", "300")]
    assert (result.conflicts, result.ours_unmatched, result.theirs_unmatched) == ((), (), ())


def test_maps_by_name_and_alias_where_the_slug_is_another() -> None:
    result = imported(
        [sport("ice-hockey"), sport("bobsled", id="10002", aliases=["Bobsleigh"])],
        [resource(12, "hockey-on-ice", "ICE HOCKEY"), resource(13, "bob", "Bobsleigh")],
    )
    assert ids(result) == {"ice-hockey": "12", "bobsled": "13"}


def test_the_slug_goes_before_the_name() -> None:
    result = imported([sport("luge")], [resource("301", "luge-2", "Luge"), resource("300", "luge", "Rodel")])
    assert ids(result) == {"luge": "300"}
    assert [entry.id for entry in result.theirs_unmatched] == ["301"]


def test_importing_again_changes_nothing() -> None:
    resources = [resource("300", "luge", "Luge"), resource("5", "golf", "Golf")]
    first = imported([sport("luge"), sport("chess", id="10002")], resources)
    second = import_ids(first.catalogue, parse_dump({"data": resources}, "dump"))
    assert second.catalogue.sports == first.catalogue.sports
    assert second.mapped == ()
    assert [one.slug for one in second.unchanged] == ["luge"]
    assert second.conflicts == ()


def test_reports_what_stays_unmatched_on_both_sides() -> None:
    result = imported([sport("luge")], [resource("5", "golf", "Golf")])
    assert [one.slug for one in result.ours_unmatched] == ["luge"]
    assert [one.slug for one in result.theirs_unmatched] == ["golf"]
    assert ids(result) == {"luge": "10001"}


def test_keeps_an_official_id_that_the_dump_gives_to_another_sport() -> None:
    result = imported([sport("luge", id="300", id_source="sports-api")], [resource("300", "golf", "Golf")])
    assert ids(result) == {"luge": "300"}
    assert result.conflicts == ("the id 300 is 'Luge' here, but 'Golf' in the dump",)


def test_keeps_an_official_id_where_the_dump_has_another_under_the_slug() -> None:
    # The Sports API itself has a sport and one of its parts under the same name.
    result = imported(
        [sport("swimming", id="224", id_source="sports-api")],
        [resource("278", "swimming", "Swimming"), resource("224", "pool-swimming", "Swimming")],
    )
    assert ids(result) == {"swimming": "224"}
    assert [one.id for one in result.unchanged] == ["224"]
    assert result.conflicts == ("Swimming has the id 224 here, but the dump offers 278 (Swimming, swimming)",)


def test_leaves_a_sport_alone_that_two_entries_claim() -> None:
    result = imported(
        [sport("luge")],
        [resource("300", "luge", "A"), resource("301", "luge", "B"), resource("302", "rodel", "Luge")],
    )
    assert ids(result) == {"luge": "10001"}
    assert (
        result.conflicts[0] == "Luge has the id 10001 here, but the dump offers 300 (A, luge), 301 (B, luge)"
    )
    assert len(result.conflicts) == 2


def test_refuses_an_official_id_in_our_range() -> None:
    result = imported([sport("luge")], [resource("10500", "luge", "Luge")])
    assert ids(result) == {"luge": "10001"}
    assert result.conflicts == ("the dump's id 10500 (Luge) lies among ours, which start at 10001",)
