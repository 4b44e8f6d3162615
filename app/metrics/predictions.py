"""What the models answered, by version and class, in a bounded number of series."""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from prometheus_client import Counter, Histogram

#: Versions, of all models together, that have series at the same time.
MAX_VERSIONS: Final = 16
#: Classes of one version that have a series each; the rest are counted together.
MAX_CLASSES: Final = 1024
#: The label of what is beyond a bound.
OTHER: Final = "other"


@dataclass(frozen=True, slots=True)
class _Series:
    top1: Histogram
    classes: dict[str, Counter] = field(default_factory=dict)


class PredictionMetrics:
    """Counts answers.

    Versions and classes are named by the model server, not by callers. Still both are bounded: a new version beyond
    `MAX_VERSIONS` takes the place of the one that has not answered for longest, whose series end; where series cannot
    end, because several processes share them in files, it is counted as "other".

    Args:
        top1: Histogram with the labels model and version.
        classes: Counter with the labels model, version and class_id.
        removable: Whether series can end.
    """

    def __init__(self, top1: Histogram, classes: Counter, *, removable: bool) -> None:
        self._top1 = top1
        self._classes = classes
        self._removable = removable
        self._series: OrderedDict[tuple[str, str], _Series] = OrderedDict()

    def add(self, model: str, version: int, class_id: str, probability: float) -> None:
        """Count an answer with this likeliest class."""
        key = (model, str(version))
        series = self._series.get(key)
        if series is None:
            key, series = self._begin(key)
        self._series.move_to_end(key)
        series.top1.observe(probability)
        counter = series.classes.get(class_id)
        if counter is None:
            label = class_id if len(series.classes) < MAX_CLASSES else OTHER
            counter = self._classes.labels(*key, label)
            if label is not OTHER:
                series.classes[class_id] = counter
        counter.inc()

    def _begin(self, key: tuple[str, str]) -> tuple[tuple[str, str], _Series]:
        if len(self._series) >= MAX_VERSIONS:
            if self._removable:
                self._end(next(iter(self._series)))
            else:
                key = (key[0], OTHER)
        # The series of the others may be there already.
        series = self._series.setdefault(key, _Series(self._top1.labels(*key)))
        return key, series

    def _end(self, key: tuple[str, str]) -> None:
        del self._series[key]
        labels = {"model": key[0], "version": key[1]}
        self._top1.remove_by_labels(labels)
        self._classes.remove_by_labels(labels)
