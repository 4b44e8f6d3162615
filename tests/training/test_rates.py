import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from training.rates import LayerwiseAdamW, depth_factors

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)


def three_layers() -> keras.Model:
    inputs = keras.Input((2,))
    x = inputs
    for name in ("first", "second", "third"):
        x = keras.layers.Dense(2, name=name, kernel_initializer="ones")(x)
    return keras.Model(inputs, x)


def test_factors_fall_geometrically_from_the_last_layer_to_the_first_trained() -> None:
    network = three_layers()
    assert depth_factors(network, 0.5, 0.04) == {
        f"{name}/{kind}": pytest.approx(factor)
        for name, factor in (("first", 0.02), ("second", 0.1), ("third", 0.5))
        for kind in ("kernel", "bias")
    }
    network.get_layer("first").trainable = False
    assert depth_factors(network, 0.5, 0.04) == {
        f"{name}/{kind}": pytest.approx(factor)
        for name, factor in (("second", 0.02), ("third", 0.5))
        for kind in ("kernel", "bias")
    }


def test_a_step_and_its_decay_are_those_of_adamw_at_the_variables_own_rate() -> None:
    gradients = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)

    def steps(optimizer: keras.optimizers.Optimizer) -> NDArray[np.float32]:
        variable = keras.Variable(np.arange(4, dtype=np.float32), name="v")
        optimizer.build([variable])
        for gradient in gradients:
            optimizer.apply([keras.ops.convert_to_tensor(gradient)], [variable])
        return np.asarray(variable)

    path = keras.Variable(0.0, name="v").path
    ours = steps(LayerwiseAdamW(0.1, weight_decay=0.3, factors={path: 0.25}))
    np.testing.assert_allclose(ours, steps(keras.optimizers.AdamW(0.025, weight_decay=0.3)), rtol=1e-5)
    without = steps(LayerwiseAdamW(0.1, weight_decay=0.3, factors={}))
    np.testing.assert_allclose(without, steps(keras.optimizers.AdamW(0.1, weight_decay=0.3)), rtol=1e-5)


def test_the_moving_average_starts_at_the_first_weights_reached() -> None:
    optimizer = LayerwiseAdamW(0.1, factors={}, use_ema=True, ema_momentum=0.9)
    variable = keras.Variable(np.ones(2, np.float32))
    optimizer.build([variable])
    seen = []
    for _ in range(2):
        optimizer.apply([keras.ops.ones(2)], [variable])
        seen.append(np.asarray(variable))
    average = np.asarray(optimizer._model_variables_moving_average[0])
    np.testing.assert_allclose(average, 0.9 * seen[0] + 0.1 * seen[1], rtol=1e-6)


def test_a_pass_ends_with_copies_of_the_averages() -> None:
    optimizer = LayerwiseAdamW(0.1, factors={}, use_ema=True, ema_momentum=0.9)
    variable = keras.Variable(np.ones(2, np.float32))
    optimizer.build([variable])
    for _ in range(2):
        optimizer.apply([keras.ops.ones(2)], [variable])
    (average,) = optimizer._model_variables_moving_average
    before = np.array(average)
    optimizer.finalize_variable_values([variable])
    np.testing.assert_array_equal(np.asarray(variable), before)
    assert variable.value is not average.value
    variable.assign(keras.ops.zeros(2))
    np.testing.assert_array_equal(np.asarray(average), before)
