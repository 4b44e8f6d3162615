"""What the shipped models name: sports of the catalogue, and product types and groups of the taxonomy."""

from pathlib import Path

import pytest

from catalogue import load_catalogue, load_products
from catalogue.model_cards import check_models
from catalogue.reading import read_json

MODELS = Path(__file__).parents[2] / "models"
CARDS = sorted(MODELS.glob("*/*/card.json"))


def test_the_shipped_models_name_only_what_the_catalogue_has() -> None:
    if not MODELS.is_dir():
        pytest.skip("no model is shipped yet")
    catalogue = load_catalogue()
    assert check_models(catalogue, load_products(catalogue), MODELS) >= 1


@pytest.mark.parametrize("card", CARDS, ids=lambda card: f"{card.parts[-3]}-{card.parts[-2]}")
def test_each_model_has_a_card_of_its_kind(card: Path) -> None:
    kind = {"sport_classifier": "classes", "product_classifier": "types"}[card.parts[-3]]
    content = read_json(card)
    assert isinstance(content, dict)
    assert {"classes", "types"} & content.keys() == {kind}
