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


def test_unseen_pictures_have_columns_of_their_own() -> None:
    def row(name: str, unseen: float | None) -> dict[str, object]:
        figures = {"top1": 0.8, "top3": 0.9, "loss": 0.7, "epochs": 2}
        return {
            "name": name,
            "options": [],
            "seed": 0,
            **figures,
            "unseen_top1": unseen,
            "unseen_top3": unseen,
        }

    table = as_markdown(summary([row(WHOLE, 0.5), row("other", 0.375)]))
    assert "| 37.5% | -12.5 | 37.5% |" in table.replace(" ± nan", "")
    assert len({line.count("|") for line in table.splitlines()}) == 1
    assert "unseen" not in as_markdown(summary([row(WHOLE, None), row("other", None)]))
