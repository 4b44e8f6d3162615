"""The product types that are shipped, and the reading of others."""

import csv
from pathlib import Path
from typing import Any

import pytest

from catalogue import Catalogue, CatalogueError, Products, load_catalogue, load_products, parse_products
from tests.catalogue.examples import write_json

# Every pair of label and group in the manifest of the training pictures, with how many pictures have it.
with (Path(__file__).parent / "product_labels.tsv").open(encoding="utf-8", newline="") as _file:
    LABELS = [(row["label"], row["group"]) for row in csv.DictReader(_file, delimiter="\t")]

# The groups that the documented answers show and pictures are known for.
DOCUMENTED = {
    "skates": {"Inline skating"},
    "boots": {"Hiking,Walking,Camping,Sledding"},
    "bicycle": {"Road cycling", "Mountain biking"},
}


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue()


@pytest.fixture(scope="module")
def products(catalogue: Catalogue) -> Products:
    return load_products(catalogue)


def group(name: str = "Skiing", **fields: Any) -> dict[str, Any]:
    """A group as it stands in the file, sound unless the fields say otherwise."""
    return {"name": name, "sports": ["skiing"], "labels": [name], **fields}


def product(name: str = "skis", **fields: Any) -> dict[str, Any]:
    """A type as it stands in the file, sound unless the fields say otherwise."""
    return {"id": name.replace(" ", "-"), "name": name, "groups": [group()], **fields}


def problems_of(catalogue: Catalogue, value: object) -> str:
    with pytest.raises(CatalogueError) as caught:
        parse_products(value, catalogue, "test")
    return "\n".join(caught.value.problems)


def test_every_type_of_the_pictures_is_there_and_no_other(products: Products) -> None:
    assert [one.name for one in products.types] == sorted({label for label, _ in LABELS})
    assert len(products) == 37
    assert all(one.id == one.name.replace(" ", "-") for one in products.types)


@pytest.mark.parametrize(("label", "name"), LABELS)
def test_every_group_of_the_pictures_has_its_place(products: Products, label: str, name: str) -> None:
    found = products.group_of_label(label, name)
    if name and (label, name) != ("skis", "Ski touring"):
        assert found in products.groups_of(label)
    else:
        assert found is None


def test_no_label_is_known_that_no_picture_has(products: Products) -> None:
    known = {
        (one.name, label)
        for one in products.types
        for label in [*one.unknown_labels, *(label for group in one.groups for label in group.labels)]
    }
    assert known == {(label, name) for label, name in LABELS if name}


def test_a_group_is_named_by_its_sports(catalogue: Catalogue, products: Products) -> None:
    for one in products.types:
        for found in one.groups:
            named = [catalogue.by_name(name) for name in found.name.split(",")]
            assert named == list(found.sports), (one.name, found.name)
            assert found.sport_ids == tuple(sport.id for sport in found.sports)


@pytest.mark.parametrize(("name", "groups"), DOCUMENTED.items())
def test_the_documented_types_are_there(products: Products, name: str, groups: set[str]) -> None:
    assert groups <= {group.name for group in products.groups_of(name)}


def test_finds_types(products: Products) -> None:
    bra = products.by_id("sports-bra")
    assert bra is not None
    assert bra is products.by_name("sports bra")
    assert products.by_id("sports bra") is None
    assert products.by_name("Sports bra") is None


def test_a_label_that_the_taxonomy_does_not_know_is_an_error(products: Products) -> None:
    with pytest.raises(KeyError, match="no group of 'skis'"):
        products.group_of_label("skis", "Chess")
    with pytest.raises(KeyError, match="sledge"):
        products.group_of_label("sledge", "")
    with pytest.raises(KeyError, match="sledge"):
        products.groups_of("sledge")


def test_several_labels_can_be_one_group(catalogue: Catalogue) -> None:
    one = product(groups=[group(labels=["Ski", "Skiing"])], unknown_labels=["Snow"])
    products = parse_products({"types": [one]}, catalogue, "test")
    (found,) = products.groups_of("skis")
    assert products.group_of_label("skis", "Ski") is products.group_of_label("skis", "Skiing") is found
    assert products.group_of_label("skis", "Snow") is None


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (product(id="Skis"), "types[0] (skis) needs lower-case words joined by hyphens as id"),
        (product(name=" skis", id="skis"), "needs a text without outer spaces as name"),
        (product(colour="red"), "types[0] (skis) has unknown fields: colour"),
        (product(groups=[]), "types[0] (skis) needs a list that is not empty as groups"),
        (product(groups=None), "types[0] (skis) needs a list that is not empty as groups"),
        ({"id": "skis", "name": "skis"}, "types[0] (skis) lacks groups"),
        (product(groups=["Skiing"]), "skis: groups[0] must be an object"),
        (product(groups=[{"name": "Skiing"}]), "skis: groups[0] (Skiing) lacks labels, sports"),
        (product(groups=[group(sports=[])]), "(Skiing) needs a list that is not empty as sports"),
        (
            product(groups=[group(sports=["moon-golf"])]),
            "the sport 'moon-golf', which is not in the catalogue",
        ),
        (product(groups=[group(sports=[66])]), "the sport 66, which is not in the catalogue"),
        (product(groups=[group(), group("SKIING")]), "skis: group name 'skiing' is used more than once"),
        (product(groups=[group(), group("Snow", labels=["Skiing"])]), "skis: label 'Skiing' is used more"),
        (product(unknown_labels=["Skiing"]), "skis: label 'Skiing' is used more than once"),
        (product(groups=[group(sports=["skiing", "skiing"])]), "skis: Skiing: sport 'skiing' is used more"),
        ("skis", "types[0] must be an object"),
    ],
)
def test_says_what_is_wrong_with_a_type(catalogue: Catalogue, value: object, message: str) -> None:
    assert message in problems_of(catalogue, {"types": [value]})


def test_says_which_types_clash(catalogue: Catalogue) -> None:
    text = problems_of(catalogue, {"types": [product(), product("Skis", id="skis")]})
    assert text == (
        "product type id 'skis' is used more than once\nproduct type name 'skis' is used more than once"
    )


@pytest.mark.parametrize("value", [[], {"types": {}}, {}])
def test_refuses_another_kind_of_document(catalogue: Catalogue, value: object) -> None:
    assert "must be an object with the list types" in problems_of(catalogue, value)


def test_reads_a_file(catalogue: Catalogue, tmp_path: Path) -> None:
    assert len(load_products(catalogue, write_json(tmp_path / "own.json", {"types": [product()]}))) == 1
    with pytest.raises(CatalogueError, match="can't be read"):
        load_products(catalogue, tmp_path / "none.json")
