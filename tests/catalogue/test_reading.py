from pathlib import Path
from typing import Any

import pytest

from catalogue import CatalogueError, load_catalogue, parse_catalogue
from tests.catalogue.examples import document, sport, write_json


def problems_of(value: object) -> str:
    with pytest.raises(CatalogueError) as caught:
        parse_catalogue(value, "test")
    return "\n".join(caught.value.problems)


def test_finds_sports_by_id_former_id_slug_name_and_alias() -> None:
    skiing = sport("skiing", id="66", id_source="sports-api", former_ids=["10007"], aliases=["Ski"])
    luge = sport("luge", parent="skiing")
    catalogue = parse_catalogue(document(skiing, luge), "test")
    found = catalogue.by_id("66")
    assert found is not None
    assert found is catalogue.by_id("10007")
    assert found is catalogue.by_slug("skiing")
    assert found is catalogue.by_name("SKIING ")
    assert found is catalogue.by_name("ski")
    assert (found.former_ids, found.aliases) == (("10007",), ("Ski",))
    child = catalogue.by_slug("luge")
    assert child is not None
    assert catalogue.ancestors(child) == (found,)
    group = catalogue.group("snow")
    assert group is not None
    assert group.name == "Snow"
    assert len(catalogue) == 2


def test_finds_nothing_where_there_is_nothing() -> None:
    catalogue = parse_catalogue(document(sport("luge")), "test")
    assert catalogue.by_id("1") is None
    assert catalogue.by_slug("chess") is None
    assert catalogue.by_name("Chess") is None
    assert catalogue.group("games") is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id": "x"}, "sports[0] (Luge) needs a whole number of at most 18 digits as id, not 'x'"),
        ({"id": 10001}, "sports[0] (Luge) needs a text without outer spaces as id, not 10001"),
        ({"id": "010001"}, "needs a whole number of at most 18 digits as id"),
        ({"id": "1" * 19}, "needs a whole number of at most 18 digits as id"),
        # More than int() takes.
        ({"id": "1" * 5_000}, "needs a whole number of at most 18 digits as id"),
        ({"id": "900"}, "Luge: the id 900 is marked as ours, but ours start at 10001"),
        ({"id_source": "sports-api"}, "from 10001 up are ours"),
        ({"slug": "Luge!"}, "needs lower-case words joined by hyphens as slug"),
        ({"slug": "74"}, "Luge: the slug '74' is a number, which is read as an id at /sports/74"),
        ({"slug": "search"}, "Luge: the slug 'search' is taken: /sports/search is the search"),
        ({"name": " Luge"}, "needs a text without outer spaces as name"),
        ({"name": "\ud800"}, r"sports[0] needs a text that UTF-8 can hold as name, not '\ud800'"),
        ({"name": None}, "needs a text without outer spaces as name, not None"),
        ({"environment": "space"}, "needs one of indoor, outdoor, both as environment, not 'space'"),
        ({"participation": "many"}, "needs one of single, team, both as participation"),
        ({"id_source": "mine"}, "needs one of sports-api, sportvision as id_source"),
        ({"former_ids": "10002"}, "needs a list of texts as former_ids"),
        ({"former_ids": ["ten"]}, "needs whole numbers of at most 18 digits as former_ids, not 'ten'"),
        ({"former_ids": ["1" * 5_000]}, "needs whole numbers of at most 18 digits as former_ids"),
        ({"aliases": [7]}, "needs a list of texts as aliases"),
        ({"aliases": ["Luge \udcff"]}, r"needs texts that UTF-8 can hold as aliases, not 'Luge \udcff'"),
        ({"aliases": ["LUGE"]}, "sport name 'luge' is used more than once"),
        ({"former_ids": ["10001"]}, "sport id '10001' is used more than once"),
        ({"parent": "sledging"}, "Luge: the parent 'sledging' is not in the catalogue"),
        ({"parent": "luge"}, "sports are parents of each other: luge → luge"),
        ({"group": "sand"}, "Luge: the group 'sand' is not in the catalogue"),
        ({"colour": "red"}, "sports[0] (Luge) has unknown fields: colour"),
    ],
)
def test_says_what_is_wrong_with_a_sport(changes: dict[str, Any], message: str) -> None:
    assert message in problems_of(document(sport("luge", **changes)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id": "10001"}, "sport id '10001' is used more than once: Luge, Chess"),
        ({"slug": "luge"}, "sport slug 'luge' is used more than once: Luge, Chess"),
        ({"name": "LUGE"}, "sport name 'luge' is used more than once: Luge, LUGE"),
        ({"former_ids": ["10001"]}, "sport id '10001' is used more than once: Luge, Chess"),
    ],
)
def test_says_which_sports_clash(changes: dict[str, Any], message: str) -> None:
    assert message in problems_of(document(sport("luge"), sport("chess", **{"id": "10002", **changes})))


def test_finds_a_cycle_of_parents_once() -> None:
    ring = [
        sport("luge", parent="curling"),
        sport("curling", id="10002", parent="bandy"),
        sport("bandy", id="10003", parent="curling"),
    ]
    assert problems_of(document(*ring)) == "sports are parents of each other: curling → bandy → curling"


def test_names_all_problems_at_once() -> None:
    text = problems_of(document(sport("luge", id="x", environment="y"), {"name": "Chess"}, "golf"))  # type: ignore[arg-type]
    assert "as id" in text
    assert "as environment" in text
    assert "sports[1] (Chess) lacks environment, group, id" in text
    assert "sports[2] must be an object" in text


def test_checks_groups() -> None:
    groups = [
        {"id": "1", "slug": "snow", "name": "Snow"},
        {"id": "1", "slug": "snow", "name": "snow"},
    ]
    text = problems_of({"groups": groups, "sports": []})
    assert "group id '1' is used more than once: Snow, snow" in text
    assert "group slug 'snow'" in text
    assert "group name 'snow'" in text
    assert "groups[0] lacks id, name, slug" in problems_of({"groups": [{}], "sports": []})
    numbered = {"groups": [{"id": "1", "slug": "2", "name": "Snow"}], "sports": []}
    assert problems_of(numbered) == "Snow: the slug '2' is a number, which is read as an id at /groups/2"
    # Groups have no search.
    found = parse_catalogue(
        {"groups": [{"id": "1", "slug": "search", "name": "Search"}], "sports": []}, "test"
    )
    assert found.group("search") is not None


@pytest.mark.parametrize("value", [[], None, "sports"])
def test_refuses_another_kind_of_document(value: object) -> None:
    assert "must be an object with the lists groups and sports" in problems_of(value)


def test_refuses_a_document_without_lists() -> None:
    assert problems_of({"sports": {}}) == "groups must be a list\nsports must be a list"


def test_refuses_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="can't be read: No such file"):
        load_catalogue(tmp_path / "none.json")
    path = tmp_path / "broken.json"
    path.write_text("{", encoding="utf-8")
    with pytest.raises(CatalogueError, match="is not JSON"):
        load_catalogue(path)
    path.write_text("[" * 100_000, encoding="utf-8")
    with pytest.raises(CatalogueError, match="is not JSON"):
        load_catalogue(path)
    # A number that json has no int for.
    path.write_text("1" * 5_000, encoding="utf-8")
    with pytest.raises(CatalogueError, match=r"can't be read: Exceeds the limit \(4300 digits\)"):
        load_catalogue(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CatalogueError, match="is not UTF-8"):
        load_catalogue(path)


def test_reads_a_file(tmp_path: Path) -> None:
    assert len(load_catalogue(write_json(tmp_path / "own.json", document(sport("luge"))))) == 1
