import numpy as np
import pytest

from tests.training.pictures import coloured_noise
from training.views import make_view, training_views


def test_the_views_of_a_training_picture() -> None:
    assert training_views(2) == ("original", "flip", "crop-1", "crop-2")


def test_original_and_mirror_image() -> None:
    picture = coloured_noise((200, 100, 50), 0)
    np.testing.assert_array_equal(make_view(picture, "original", "d"), picture)
    np.testing.assert_array_equal(make_view(picture, "flip", "d"), picture[:, ::-1])


def test_a_crop_is_the_same_at_every_run_and_another_for_others() -> None:
    picture = coloured_noise((200, 100, 50), 0, height=48, width=32)
    crop = make_view(picture, "crop-1", "d")
    assert crop.shape == picture.shape
    assert crop.dtype == np.uint8
    np.testing.assert_array_equal(make_view(picture, "crop-1", "d"), crop)
    assert not np.array_equal(make_view(picture, "crop-2", "d"), crop)
    assert not np.array_equal(make_view(picture, "crop-1", "e"), crop)


def test_an_unknown_view_is_an_error() -> None:
    with pytest.raises(ValueError, match="swirl"):
        make_view(coloured_noise((1, 1, 1), 0), "swirl", "d")
