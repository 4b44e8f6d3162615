import dataclasses
from pathlib import Path

import numpy as np
import pytest

from tests.training.cleaning_data import HEAD, prepared_clouds
from training.data import Dataset
from training.errors import DataError
from training.left_out import leave_out
from training.pipeline import Prepared
from training.settings import TrainSettings

SETTINGS = TrainSettings(crops=0, heads=(HEAD,))


def two_sources(place: Path) -> Prepared:
    """Clouds whose chess pictures are all from one source, and a third of the others' groups from a second."""
    prepared, _ = prepared_clouds(place, each=60, wrong=0)
    groups = prepared.groups.tolist()
    pictures = [
        dataclasses.replace(one, source="site" if one.label != "chess" and groups[number] % 3 == 0 else "set")
        for number, one in enumerate(prepared.data.pictures)
    ]
    return dataclasses.replace(prepared, data=Dataset(tuple(pictures)))


def test_a_source_is_measured_by_heads_with_and_without_it(tmp_path: Path) -> None:
    prepared = two_sources(tmp_path)
    rows = {row["source"]: row for row in leave_out(prepared, SETTINGS, fewest=20)}
    assert set(rows) == {"set", "site"}
    # Nobody but the set has chess: without it no head could know it, so it is not asked for.
    assert rows["set"]["classes"] == 3
    site = rows["site"]
    assert site["unseen"]["top1"]["of"] == sum(one.source == "site" for one in prepared.data.pictures)
    assert site["unseen_test"]["top1"]["of"] == site["seen_test"]["top1"]["of"] > 0
    assert site["unseen"]["top1"]["share"] > 0.9
    assert site["unseen"]["top3"]["right"] >= site["unseen"]["top1"]["right"]


def test_what_looks_like_a_picture_of_the_source_is_left_out_with_it(tmp_path: Path) -> None:
    prepared = two_sources(tmp_path)
    # All judo is one series, which the site has some pictures of: no head may know it without the site.
    judo = np.array([one.label == "judo" for one in prepared.data.pictures])
    groups = np.where(judo, prepared.groups[judo].min(), prepared.groups)
    (row,) = leave_out(dataclasses.replace(prepared, groups=groups), SETTINGS, ["site"], fewest=20)
    assert row["classes"] == 2
    counted = [one.source == "site" and one.label != "judo" for one in prepared.data.pictures]
    assert row["unseen"]["top1"]["of"] == sum(counted)


def test_sources_that_cannot_be_left_out_say_why(tmp_path: Path) -> None:
    prepared = two_sources(tmp_path)
    with pytest.raises(DataError, match="No picture is from moon; there are set, site"):
        leave_out(prepared, SETTINGS, ["moon"])
    with pytest.raises(DataError, match="No source has 1000 pictures"):
        leave_out(prepared, SETTINGS, fewest=1000)
