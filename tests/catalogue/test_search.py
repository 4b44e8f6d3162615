import pytest

from catalogue import Catalogue, NameSearch, Sport, load_catalogue, search_of_groups, search_of_sports
from catalogue.search import fold

EVERY = 1000


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue()


@pytest.fixture(scope="module")
def search(catalogue: Catalogue) -> NameSearch[Sport]:
    return search_of_sports(catalogue)


def names(found: tuple[Sport, ...]) -> list[str]:
    return [sport.name for sport in found]


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Mölkky", "molkky"),
        ("  PÉTANQUE! ", "petanque"),
        ("Body building / cross training", "body building cross training"),
        ("body-building-cross-training", "body building cross training"),
        ("Straße", "strasse"),
        ("ﬁshing", "fishing"),
        ("snake_case", "snake case"),
        ("滑雪", "滑雪"),
        (" -/_! ", ""),
        ("", ""),
    ],
)
def test_folding(text: str, folded: str) -> None:
    assert fold(text) == folded


def test_the_ranks_in_their_order() -> None:
    things = ["raski", "a ski", "ski a b", "skis", "ski", "nothing like it"]
    found = NameSearch((name, (name,)) for name in things).find("ski", EVERY)
    # The name itself, what begins with it (the shorter first), a word that does, then the inside of a word.
    assert found == ("ski", "skis", "ski a b", "a ski", "raski")


def test_among_equals_the_order_given_decides() -> None:
    search = NameSearch((name, (name,)) for name in ("ski b", "ski a"))
    assert search.find("ski", EVERY) == ("ski b", "ski a")


def test_the_best_of_the_names_counts() -> None:
    search = NameSearch([("one", ("Ultimate frisbee", "Ultimate")), ("two", ("Ultimate fighting",))])
    assert search.find("ultimate", EVERY) == ("one", "two")
    assert search.find("ultimate f", EVERY) == ("one", "two")


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("SKIING", "Skiing"),
        ("skiing", "Skiing"),
        ("petanque", "Petanque"),
        ("Pétanque", "Petanque"),
        ("molkky", "Mölkky"),
        ("Mölkky", "Mölkky"),
        ("ping-pong", "Table tennis"),
        ("football", "Soccer"),
        ("MMA", "Mixed martial arts"),
        ("body-building-cross-training", "Body building / cross training"),
        ("cross training", "Body building / cross training"),
        ("basketbal", "Basketball"),
    ],
)
def test_finds_by_name_slug_and_alias(search: NameSearch[Sport], query: str, first: str) -> None:
    assert names(search.find(query, 1)) == [first]


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("swiming", "Swimming"),
        ("tenis", "Tennis"),
        ("karatte", "Karate"),
        ("feild hokey", "Field hockey"),
        ("volley ball", "Volleyball"),
        ("icehockey", "Ice hockey"),
        ("snowbording", "Snowboarding"),
        ("joga", "Yoga"),
    ],
)
def test_forgives_misspellings(search: NameSearch[Sport], query: str, first: str) -> None:
    assert names(search.find(query, EVERY))[0] == first


def test_a_misspelt_word_of_a_name_is_found(search: NameSearch[Sport]) -> None:
    found = names(search.find("hokey", EVERY))
    assert {"Ice hockey", "Field hockey"} <= set(found)
    assert all("hockey" in name for name in found)


def test_what_is_spelt_right_brings_no_look_alikes(search: NameSearch[Sport]) -> None:
    # "Bowling" is close to "Rowing", but whoever writes "rowing" means it.
    found = names(search.find("rowing", EVERY))
    assert found[:2] == ["Rowing", "Indoor rowing"]
    assert all("rowing" in name.lower() for name in found)


@pytest.mark.parametrize(
    "query", ["", "  ", "!?", "xyzzy", "qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq", "ﷺ" * 100]
)
def test_finds_nothing(search: NameSearch[Sport], query: str) -> None:
    assert search.find(query, EVERY) == ()


@pytest.mark.parametrize("query", ["a", "gof"])
def test_gives_no_more_than_asked(search: NameSearch[Sport], query: str) -> None:
    every = search.find(query, EVERY)
    assert len(every) > 3
    assert len(set(every)) == len(every)
    assert search.find(query, 3) == every[:3]


def test_every_sport_is_first_for_its_own_names(catalogue: Catalogue, search: NameSearch[Sport]) -> None:
    for sport in catalogue.sports:
        for name in (sport.name, sport.slug, *sport.aliases):
            assert search.find(name.upper(), 1) == (sport,)


def test_groups_are_found_too(catalogue: Catalogue) -> None:
    found = search_of_groups(catalogue).find("winter", 1)
    assert found == (catalogue.group_by_id("12"),)
    assert found == (catalogue.group("winter-sports"),)
    assert catalogue.group_by_id("winter-sports") is None
