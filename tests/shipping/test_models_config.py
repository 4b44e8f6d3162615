"""serving_config/models.config serves the models that are shipped, all of them and no other.

A model server whose configuration names a model that is not there never opens its port: it waits for it.
"""

import re
from pathlib import Path

import pytest

from app.settings import Settings
from model_server.config import ModelSource, model_sources, read_config_file
from tests.shipping.dockerfile import ROOT

CONFIG = ROOT / "serving_config" / "models.config"
MODELS = ROOT / "models"
GATEWAY_ASKS_FOR = {Settings.model_fields[kind].default for kind in ("sport_model", "product_model")}
LINE = '  config {{ name: "{0}" base_path: "/models/{0}" model_platform: "tensorflow" }}'


def sources(config: Path) -> list[ModelSource]:
    return model_sources(read_config_file(config), [("/models", str(MODELS))])


@pytest.mark.parametrize("source", sources(CONFIG), ids=lambda source: source.name)
def test_a_model_that_is_served_is_shipped_and_asked_for(source: ModelSource) -> None:
    assert source.base_path == MODELS / source.name
    versions = [path for path in source.base_path.glob("*") if path.name.isdigit()]
    assert versions, f"{CONFIG.name} names {source.name}, but models/{source.name} has no version"
    assert source.name in GATEWAY_ASKS_FOR


def test_a_model_that_is_shipped_is_served() -> None:
    shipped = {card.parts[-3] for card in MODELS.glob("*/*/card.json")}
    missing = shipped - {source.name for source in sources(CONFIG)}
    assert not missing, f"add to {CONFIG}:\n" + "\n".join(map(LINE.format, sorted(missing)))


def test_both_models_are_served_with_the_documented_line(tmp_path: Path) -> None:
    documented = (ROOT / "docs" / "product-classifier.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"^ *config \{ name: .*$", documented, re.MULTILINE)
    assert line == LINE.format("product_classifier")
    text = CONFIG.read_text(encoding="utf-8")
    if '"product_classifier"' not in text:
        text = text.rstrip().removesuffix("}") + line + "\n}\n"
    both = tmp_path / CONFIG.name
    both.write_text(text, encoding="utf-8")
    assert [source.name for source in sources(both)] == ["sport_classifier", "product_classifier"]
