import dataclasses

import optuna
import pytest

from training.finetune_settings import FinetuneSettings
from training.head import HeadSettings
from training.search.importance import FEWEST, importances, value_of
from training.search.space import (
    FINETUNE_PARAMETERS,
    HEAD_PARAMETERS,
    TEXTS,
    Draw,
    Recall,
    draw_finetuning,
    draw_head,
    unfreezing_depths,
)
from training.search.spread import Spread

HEAD = HeadSettings(
    hidden=300, layers=2, optimizer="sgd", learning_rate=0.5, weight_decay=1e-3, epochs=5, mixup=0.2
)


def fixed(**values: object) -> optuna.trial.FixedTrial:
    return optuna.trial.FixedTrial(dict(values))


def test_every_parameter_has_a_name_in_full() -> None:
    assert set(TEXTS) == {*HEAD_PARAMETERS, *FINETUNE_PARAMETERS}


def test_what_a_head_is_already_can_be_drawn_again() -> None:
    recall = Recall()
    assert draw_head(recall, HEAD, 2) == (HEAD, 2)
    assert set(recall.drawn) == set(HEAD_PARAMETERS)
    assert recall.drawn["learning_rate"] == pytest.approx(0.005), "in AdamW's terms"
    assert draw_head(Draw(fixed(**recall.drawn)), HEAD, 2) == (HEAD, 2)


def test_what_fine_tuning_is_already_can_be_drawn_again() -> None:
    base = FinetuneSettings(unfreeze="block_6", epochs=2)
    recall = Recall()
    assert draw_finetuning(recall, base, ("", "block_6")) == base
    assert set(recall.drawn) == set(FINETUNE_PARAMETERS)
    assert draw_finetuning(Draw(fixed(**recall.drawn)), base, ("", "block_6")) == base


def test_rate_and_decay_are_brought_to_the_terms_of_the_optimiser() -> None:
    values = {
        "learning_rate": 1e-3,
        "weight_decay": 0.1,
        "layers": 0,
        "input_dropout": 0.12345,
        "label_smoothing": 0.1,
        "mixup": 0.0,
    }
    drawn = {
        name: draw_head(Draw(fixed(optimizer=name, **values)), HEAD, 0)[0]
        for name in ("adamw", "sgd", "lion", "adam")
    }
    assert [(head.learning_rate, head.weight_decay) for head in drawn.values()] == [
        (1e-3, 0.1),
        (0.1, 1e-3),
        (1e-4, 1.0),
        (1e-3, HEAD.weight_decay),
    ]
    assert {(head.depth, head.epochs, head.input_dropout) for head in drawn.values()} == {(0, 5, 0.123)}


def test_what_is_kept_is_not_asked_for() -> None:
    kept = [name for name in HEAD_PARAMETERS if name != "mixup"]
    settings, crops = draw_head(Draw(fixed(mixup=0.5), kept), HEAD, 2)
    assert (settings, crops) == (dataclasses.replace(HEAD, mixup=0.5), 2)


@pytest.mark.parametrize(
    ("layers", "depths"),
    [
        (
            [
                "input",
                "Conv1",
                *(f"block_{n}_{part}" for n in range(1, 17) for part in ("expand", "project")),
            ],
            ("", "block_2", "block_6", "block_9", "block_12", "block_16"),
        ),
        (
            ["stem", *(f"block{n}{part}_dwconv" for n in (1, 2, 3) for part in "abc"), "top"],
            ("", "block1b", "block2a", "block2c", "block3a", "block3c"),
        ),
        (list("abcdefghijk"), ("", "b", "d", "f", "i", "k")),
        (["a", "b"], ("", "b")),
    ],
)
def test_depths_of_unfreezing_are_blocks_evenly_spaced(layers: list[str], depths: tuple[str, ...]) -> None:
    found = unfreezing_depths(layers)
    assert found[0] == ""
    assert found == depths


def test_the_parameter_that_decides_weighs_most() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))

    def loss(trial: optuna.Trial) -> float:
        rate = trial.suggest_float("rate", 1e-4, 1, log=True)
        trial.suggest_float("idle", 0, 1)
        if trial.suggest_categorical("kind", ["plain", "deep"]) == "deep":
            trial.suggest_int("depth", 1, 5)
        trial.report(rate, 1)
        if rate > 0.3:
            raise optuna.TrialPruned
        return rate

    study.optimize(loss, n_trials=60)
    found = importances(study.get_trials())
    assert next(iter(found)) == "rate"
    assert found["rate"] > 0.5
    assert set(found) == {"rate", "idle", "kind", "depth"}
    assert all(share < 0.2 for name, share in found.items() if name != "rate")
    assert importances(study.get_trials()[: FEWEST - 1]) == {}


def test_a_pruned_trial_reached_its_lowest_loss_not_its_last() -> None:
    study = optuna.create_study()
    for state in (optuna.trial.TrialState.PRUNED, None):
        trial = study.ask()
        for epoch, loss in enumerate((0.7, 0.5, 0.9), 1):
            trial.report(loss, epoch)
        study.tell(trial, None if state else 0.6, state=state)
    study.tell(study.ask(), state=optuna.trial.TrialState.PRUNED)
    assert [value_of(trial) for trial in study.get_trials()] == [0.5, 0.6, None]


def test_the_spread_of_seeds() -> None:
    spread = Spread.of([0.8, 0.82, 0.84])
    assert spread.mean == pytest.approx(0.82)
    assert spread.deviation == pytest.approx(0.02)
    assert spread.share() == "82.0% ± 2.00"
    assert spread.number() == "0.8200 ± 0.0200"
    alone = Spread.of([0.5])
    assert alone.share() == "50.0%"
    assert alone.as_json()["deviation"] is None
