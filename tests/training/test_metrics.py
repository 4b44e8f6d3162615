from training.metrics import measure

NAMES = {"1": "Tennis", "2": "Cricket", "3": "Golf", "9": "Rugby"}


def test_figures_worked_out_by_hand() -> None:
    answers = [
        ["1", "2", "3"],  # right at once
        ["2", "1", "3"],  # second
        ["2", "3", "9", "1"],  # fourth
        ["2", "1"],  # right at once
        ["9", "3", "1"],  # not at all
        ["9", "2", "1"],  # second
    ]
    figures = measure(
        answers, ["1", "1", "1", "2", "2", "2"], ["web", "web", "", "", "", ""], NAMES, {"1": 40}
    )
    assert figures["all"] == {
        "pictures": 6,
        "top1": {"right": 2, "share": 0.3333},
        "top3": {"right": 4, "share": 0.6667},
        "top5": {"right": 5, "share": 0.8333},
    }
    assert figures["by_source"]["web"]["top1"] == {"right": 1, "share": 0.5}
    assert figures["by_source"]["web"]["top3"] == {"right": 2, "share": 1.0}
    # By name: Cricket has 1 of 3 and 2 of 3, Tennis 1 of 3 and 2 of 3.
    assert [row["name"] for row in figures["by_class"]] == ["Cricket", "Tennis"]
    assert [row["trained_on"] for row in figures["by_class"]] == [0, 40]
    assert figures["mean_over_classes"] == {"top1": 0.3333, "top3": 0.6667, "top5": 0.8333}
    assert figures["confused"] == [
        {"truth": "Tennis", "answer": "Cricket", "pictures": 2},
        {"truth": "Cricket", "answer": "Rugby", "pictures": 2},
    ]


def test_no_pictures_give_no_shares() -> None:
    figures = measure([], [], [], NAMES)
    assert figures["all"]["top1"] == {"right": 0, "share": None}
    assert figures["by_class"] == figures["confused"] == []
