"""The page's last section: how the figures were made, and whose methods they are."""

from collections.abc import Mapping
from typing import Any

from training.report.markup import Markup, element

_SOURCES = (
    "Intervals: Wilson 1927; Brown, Cai and DasGupta 2001. Bootstrap of groups: Efron 1979; Field and Welsh 2007.",
    "Calibration error and temperature: Guo, Pleiss, Sun and Weinberger 2017; Naeini, Cooper and Hauskrecht 2015.",
    "Calibration error by chance: Bröcker and Smith 2007.",
    "Abstaining: El-Yaniv and Wiener 2010; Geifman, Uziel and El-Yaniv 2019.",
)


def method(report: Mapping[str, Any]) -> list[Markup | None]:
    """Tell how the figures were made; `report` as `make.measure_version` gives it."""
    grouped = (
        "Groups of like pictures are those of the run's split: a bootstrap draws them whole."
        if report["asked"]["groups_known"]
        else "No split was given, so each picture stands for itself and both intervals are of independent pictures."
    )
    main = report["main_sources"]
    told = [
        "The exported SavedModel answered through its signature, from pictures decoded as the gateway decodes them.",
        grouped,
        f"The main set are the pictures whose source is {' or '.join(main)}." if main else None,
        f"Calibration is that of the first answer, in {report['calibration']['bins']} bins of equal width.",
        "The truth is the label of the data: a wrong label counts as a wrong answer.",
        "Changed pictures are made at the picture's own size, saved without loss but for JPEG, and then decoded anew."
        if report["robustness"]
        else None,
        *_SOURCES,
    ]
    return [
        element("ul", [element("li", line) for line in told if line is not None]),
        element(
            "p",
            "All of these figures lie beside this page in report.json. The page holds pictures of the data set: "
            "do not publish it without a look at their licences.",
        ),
    ]
