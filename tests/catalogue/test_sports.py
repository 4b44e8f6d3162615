"""The catalogue that is shipped."""

from pathlib import Path

import pytest

from catalogue import Catalogue, load_catalogue
from catalogue.model import FIRST_OWN_ID
from catalogue.reading import SPORTS_FILE
from catalogue.writing import format_catalogue

LABELS = (Path(__file__).parent / "picture_labels.txt").read_text(encoding="utf-8").split("\n")[:-1]

SPORTS_API_IDS = {
    "1": "Duathlon",
    "66": "Skiing",
    "74": "Baseball",
    "76": "Cricket",
    "87": "American football",
    "96": "Handball",
    "224": "Swimming",
    "282": "Road cycling",
    "289": "Lacrosse",
    "291": "Body building / cross training",
    "391": "Triathlon",
    "900": "Aquathlon",
}

# What the labels of the training pictures are parts of.
PARENTS = {
    "Figure skating men": "Figure skating",
    "Figure skating women": "Figure skating",
    "Figure skating pairs": "Figure skating",
    "Balance beam": "Gymnastics",
    "Uneven bars": "Gymnastics",
    "Parallel bars": "Gymnastics",
    "Pommel horse": "Gymnastics",
    "Gymnastic rings": "Gymnastics",
    "Rhythmic gymnastics": "Gymnastics",
    "Rifle shooting": "Sport shooting",
    "Pistol shooting": "Sport shooting",
    "Clay target shooting": "Sport shooting",
    "Beach volleyball": "Volleyball",
    "Alpine skiing": "Skiing",
    "Bodybuilding": "Body building / cross training",
    "Functional fitness": "Strength training",
    "Kettlebell training": "Strength training",
    "Stretching": "Fitness",
    "Cardio training": "Fitness",
    "Wheelchair basketball": "Basketball",
}


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue()


def test_every_label_of_the_pictures_is_a_sport_under_that_name(catalogue: Catalogue) -> None:
    assert len(LABELS) == 159
    found = {label: catalogue.by_name(label) for label in LABELS}
    assert [label for label, sport in found.items() if sport is None or sport.name.lower() != label] == []


def test_knows_the_wider_list_of_sports(catalogue: Catalogue) -> None:
    assert len(catalogue) >= 280
    assert 15 <= len(catalogue.groups) <= 20


def test_known_ids_of_the_sports_api(catalogue: Catalogue) -> None:
    for sport_id, name in SPORTS_API_IDS.items():
        sport = catalogue.by_id(sport_id)
        assert sport is not None
        assert (sport.name, sport.id_source) == (name, "sports-api")


def test_every_other_id_is_ours_or_has_one_of_ours_as_a_former_id(catalogue: Catalogue) -> None:
    others = [sport for sport in catalogue.sports if sport.id not in SPORTS_API_IDS]
    for sport in others:
        assert any(int(one) >= FIRST_OWN_ID for one in (sport.id, *sport.former_ids)), sport


@pytest.mark.parametrize(("part", "whole"), PARENTS.items())
def test_labels_that_are_parts_of_others_know_it(catalogue: Catalogue, part: str, whole: str) -> None:
    sport = catalogue.by_name(part)
    assert sport is not None
    assert whole in [parent.name for parent in catalogue.ancestors(sport)]


def test_names_are_capitalised_as_names(catalogue: Catalogue) -> None:
    for name in ("Ice hockey", "American football", "Formula 1", "BMX"):
        sport = catalogue.by_name(name.upper())
        assert sport is not None
        assert sport.name == name
    assert [sport for sport in catalogue.sports if sport.name[0].islower()] == []


def test_every_group_has_sports(catalogue: Catalogue) -> None:
    assert {group.slug for group in catalogue.groups} == {sport.group for sport in catalogue.sports}


def test_only_versions_for_another_place_contradict_the_whole(catalogue: Catalogue) -> None:
    # These exist because the sport moved indoors or out.
    moved = {"Futsal", "Box lacrosse", "Indoor hockey", "Treadmill running", "Beach handball"}
    opposites = {("indoor", "outdoor"), ("outdoor", "indoor")}
    contradicting = {
        sport.name
        for sport in catalogue.sports
        if sport.parent is not None
        and (parent := catalogue.by_slug(sport.parent)) is not None
        and (sport.environment, parent.environment) in opposites
    }
    assert contradicting <= moved


def test_the_file_is_in_the_form_that_the_import_writes(catalogue: Catalogue) -> None:
    assert SPORTS_FILE.read_text(encoding="utf-8") == format_catalogue(catalogue)
