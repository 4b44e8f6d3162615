import argparse

import pytest

from training.head import HeadSettings
from training.head_options import add_head_options, head_arguments, heads_from


def heads(*arguments: str) -> tuple[HeadSettings, ...]:
    parser = argparse.ArgumentParser()
    add_head_options(parser)
    return heads_from(parser.parse_args(arguments))


def test_without_options_the_head_is_the_usual_one() -> None:
    assert heads() == (HeadSettings(),)


def test_lists_are_tried_in_every_combination_and_a_linear_head_once() -> None:
    tried = heads("--hidden", "0", "64", "--layers", "1", "2", "--optimizer", "sgd", "--epochs", "3")
    assert [(head.hidden, head.layers) for head in tried] == [(0, 1), (64, 1), (64, 2)]
    assert {(head.optimizer, head.epochs) for head in tried} == {("sgd", 3)}


def test_the_arguments_of_a_head_give_that_head() -> None:
    head = HeadSettings(
        hidden=96, layers=3, optimizer="lion", learning_rate=1.23e-5, weight_decay=0.7, mixup=0.0, epochs=7
    )
    assert heads(*head_arguments(head)) == (head,)


def test_an_optimiser_that_is_not_there_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        heads("--optimizer", "adagrad")
    assert "rmsprop" in capsys.readouterr().err
