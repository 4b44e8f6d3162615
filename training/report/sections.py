"""The page's sections of figures: tables and plots, each with a sentence on how to read it."""

from collections.abc import Mapping
from typing import Any

from training.card import LOW_EVIDENCE
from training.report.markup import Markup, element, join
from training.report.pieces import figure, percent, share, table, with_intervals
from training.report.plots import interval_bars, recall_by_evidence, reliability_diagram, risk_curve


def right(report: Mapping[str, Any]) -> list[Markup | None]:
    """Shares of right answers, overall and by source; `report` as `make.measure_version` gives it."""
    rows = report["segments"]
    return [
        element(
            "p",
            "Under each share are two 95% intervals: first Wilson's, which takes pictures as independent, then "
            "a bootstrap that draws whole groups of like pictures. Where they differ, trust the wider one.",
        ),
        table(
            ("Pictures", "number", "groups", "top-1", "top-3", "top-5"),
            [
                (
                    row["name"],
                    row["pictures"],
                    row["groups"],
                    *(with_intervals(row[top]) for top in ("top1", "top3", "top5")),
                )
                for row in rows
            ],
        ),
        element(
            "div",
            figure(
                interval_bars([(row["name"], row["top1"]) for row in rows], "Top-1 by part, with intervals"),
                "Top-1 with Wilson intervals.",
            ),
            class_="plots",
        ),
        element(
            "p",
            "Mean over the classes, each counted alike: "
            + ", ".join(
                f"{name.replace('top', 'top-')} {percent(value)}"
                for name, value in report["mean_over_classes"].items()
            )
            + ".",
        ),
    ]


def calibration(found: Mapping[str, Any]) -> list[Markup | None]:
    """Reliability diagrams and calibration errors; `found` as `certainty.calibration_of` gives it."""
    served, without, temperature = found["served"], found["without_temperature"], found["temperature"]
    plots = [
        figure(
            reliability_diagram(served["bins"], "Reliability as served"),
            f"As served{'' if temperature is None else f', temperature {temperature:.3f}'}. "
            f"Expected calibration error {percent(served['error'])}.",
        )
    ]
    rows = [("As served", served)]
    if without is not None:
        plots.insert(
            0,
            figure(
                reliability_diagram(without["bins"], "Reliability without the temperature"),
                f"Without the temperature. Expected calibration error {percent(without['error'])}.",
            ),
        )
        rows.insert(0, ("Without the temperature", without))
    rows += [(f"{part['name']}, as served", part) for part in found["parts"]]
    told = (
        "The exported graph divides its logits by a temperature that was fitted on the validation part, never on "
        "these pictures."
        if without is not None
        else "The model's card names no temperature other than 1."
    )
    return [
        element(
            "p",
            "A dot is a bin of answers by their probability; on the dashed line, of answers given with 80% just 80% "
            f"are right. Below the line the model is too sure, above it not sure enough. {told}",
        ),
        element("div", plots, class_="plots"),
        table(
            (
                "Answers",
                "pictures",
                "accuracy",
                "mean confidence",
                "calibration error",
                "by chance",
                "95% under",
            ),
            [
                (
                    name,
                    row["pictures"],
                    percent(row["accuracy"]),
                    percent(row["confidence"]),
                    percent(row["error"]),
                    percent(row["error_by_chance"]["mean"]),
                    percent(row["error_by_chance"]["p95"]),
                )
                for name, row in rows
            ],
        ),
        element(
            "p",
            "The error is never negative, so a perfectly calibrated model shows one too: “by chance” is its mean on "
            "as many pictures, and in 95 of 100 samples it stays under the last column.",
            class_="soft",
        ),
    ]


def abstaining(found: Mapping[str, Any]) -> list[Markup | None]:
    """The risk-coverage curve and thresholds; `found` as `certainty.abstaining` gives it."""
    return [
        element(
            "p",
            "If answers below a probability are held back, fewer pictures are answered, more of them rightly.",
        ),
        table(
            ("Least probability", "answered", "of all", "accuracy among them"),
            [
                (f"{row['threshold']:.2f}", row["answered"], percent(row["coverage"]), share(row["accuracy"]))
                for row in found["thresholds"]
            ],
        ),
        element(
            "div",
            figure(
                risk_curve(found["curve"], "Wrong answers by share of pictures answered"),
                f"Risk and coverage; the area under the curve is {found['area']:.4f}.",
            ),
            class_="plots",
        ),
    ]


def robustness(found: Mapping[str, Any] | None) -> list[Markup | None]:
    """Top-1 under distortions; `found` as `robustness.measure_robustness` gives it, None where not asked."""
    if found is None:
        return []
    exif = found["exif"]
    harmless = "as it must be" if not exif["changed_answers"] else "and it should have changed none"
    return [
        element("p", f"{found['pictures']} of the pictures, drawn at random, changed and asked again."),
        table(
            ("Change", "pictures", "top-1", "top-3", "lost", "gained", "mean confidence"),
            [
                (
                    row["name"],
                    row["pictures"],
                    share(row["top1"]),
                    share(row["top3"]),
                    row["lost"],
                    row["gained"],
                    percent(row["confidence"]),
                )
                for row in found["rows"]
            ],
        ),
        element(
            "div",
            figure(
                interval_bars([(row["name"], row["top1"]) for row in found["rows"]], "Top-1 by change"),
                "Top-1 with Wilson intervals.",
            ),
            class_="plots",
        ),
        element(
            "p",
            f"Stored turned or mirrored under an EXIF orientation ({exif['files']} files in the seven orientations "
            f"that are not upright): {exif['changed_answers']} first answers changed, {harmless}. The largest "
            f"difference of a pixel was {exif['largest_pixel_difference']} of 255, of a probability "
            f"{exif['largest_probability_change']:.4f}.",
        ),
    ]


def classes(report: Mapping[str, Any]) -> list[Markup | None]:
    """The table of classes; `report` as `make.measure_version` gives it."""
    rows = report["by_class"]
    plot = recall_by_evidence(rows, "Recall by training pictures")
    told = (
        f"Marked classes were trained on fewer than {LOW_EVIDENCE} pictures: their figures say little."
        if plot is not None
        else "The card beside the model does not say how many pictures each class was trained on."
    )
    return [
        element(
            "p", f"The lowest recall first. {told} Precision holds for the mixture of classes asked here."
        ),
        element(
            "div", figure(plot, "Each dot is a class; left of the dashed line, low evidence."), class_="plots"
        )
        if plot is not None
        else None,
        table(
            ("Class", "trained on", "pictures", "recall", "answered", "precision", "top-3", "most taken for"),
            [
                (
                    join(
                        row["name"],
                        element("span", " low evidence", class_="badge") if row["low_evidence"] else None,
                    ),
                    "–" if row["trained_on"] is None else row["trained_on"],
                    row["pictures"],
                    share(row["recall"]),
                    row["answered"],
                    share(row["precision"]),
                    percent(row["top3"]["share"]),
                    f"{row['taken_for']['name']} ({row['taken_for']['pictures']})"
                    if row["taken_for"]
                    else "",
                )
                for row in rows
            ],
        ),
    ]
