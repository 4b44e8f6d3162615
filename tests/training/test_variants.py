import argparse

import pytest

from training.search.variants import WHOLE, Variant, as_markdown, summary


def test_a_variant_has_a_name_and_options() -> None:
    assert Variant.read("no mixing: --mixup 0 --cutmix 0") == Variant(
        "no mixing", ("--mixup", "0", "--cutmix", "0")
    )
    for wrong in ("no mixing", ": --mixup 0", "no mixing:", f"{WHOLE}: --mixup 0"):
        with pytest.raises(argparse.ArgumentTypeError):
            Variant.read(wrong)


def test_variants_are_compared_with_the_whole_of_the_same_seed() -> None:
    def row(name: str, seed: int, top1: float, loss: float) -> dict[str, object]:
        return {
            "name": name,
            "options": [],
            "seed": seed,
            "top1": top1,
            "top3": 0.9,
            "loss": loss,
            "epochs": 2,
        }

    rows = summary(
        [
            row(WHOLE, 0, 0.80, 0.7),
            row("other", 0, 0.78, 0.8),
            row("not asked yet", 1, 0.5, 0.9),
            row(WHOLE, 1, 0.84, 0.6),
            row("other", 1, 0.80, 0.8),
            row("early", 0, 0.90, 0.7),
        ]
    )
    figures = {one["name"]: one for one in rows}
    assert list(figures) == [WHOLE, "other", "not asked yet", "early"]
    assert figures["other"]["top1_gain"] == pytest.approx(-0.03)
    assert figures["other"]["loss_gain"] == pytest.approx(0.15)
    assert figures["early"]["top1_gain"] == pytest.approx(0.1), "only against the seed that it has"
    assert "| other |  | 2 | 79.0% ± 1.41 | -3.0 |" in as_markdown(rows)
