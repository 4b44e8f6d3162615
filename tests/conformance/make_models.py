"""Makes the SavedModels that the conformance suite asks for: ``python -m tests.conformance.make_models DIR``.

Every model is a small ``tf.Module``. What TensorFlow Serving is to serve of them is in ``models.config`` beside them.

| model | what it is for |
|---|---|
| ``hpt`` | versions 1 and 2 of "half plus two" (version 2 adds the version, so answers tell them apart) |
| ``pair`` | two inputs, three signatures, several outputs |
| ``types`` | one identity signature for each dtype |
| ``words`` | strings in and out |
| ``slow`` | sleeps as many milliseconds as it is told |
| ``picky`` | a matrix product that fails for the wrong width |
| ``unbatched`` | a scalar input, a scalar output, and an output without the batch dimension |
| ``image`` | 224 x 224 pictures, for large messages |
"""

import argparse
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tensorflow as tf

WARMUP_FILE: Final = Path("assets.extra") / "tf_serving_warmup_requests"

IDENTITY_TYPES: Final = (
    "float32", "float64", "float16", "bfloat16", "int8", "int16", "int32", "int64",
    "uint8", "uint16", "uint32", "uint64", "bool", "complex64", "complex128", "string",
)  # fmt: skip

Signature = tuple[Callable[..., Any], list[Any]]


def _spec(name: str, dtype: str = "float32", shape: tuple[int | None, ...] = (None,)) -> Any:
    return tf.TensorSpec(shape, getattr(tf, dtype), name=name)


def save(path: Path, signatures: dict[str, Signature], variable: Any = None) -> None:
    """Saves a module with these signatures; appears at `path` complete, by a rename.

    Args:
        path: The version directory.
        signatures: A function and the specs of its inputs, for each signature.
        variable: A ``tf.Variable`` that the functions use, to be restored when the model is loaded.
    """
    module = tf.Module()
    module.variable = variable
    concrete = {
        name: tf.function(function).get_concrete_function(*specs)
        for name, (function, specs) in signatures.items()
    }
    staged = path.parent / f".{path.name}.staged"
    tf.saved_model.save(module, str(staged), signatures=concrete)
    staged.rename(path)


def half_plus_two(path: Path, extra: float = 0.0) -> None:
    """Saves ``y = x / 2 + 2 + extra`` for x and y of shape [batch]."""
    two = tf.Variable(2.0 + extra)
    save(path, {"serving_default": (lambda x: {"y": x / 2.0 + two}, [_spec("x")])}, two)


def pair(path: Path) -> None:
    """Saves two inputs: ``probs`` and ``score`` of shape [batch]; and signatures that share the input."""
    both = [_spec("a"), _spec("b")]
    save(
        path,
        {
            "serving_default": (lambda a, b: {"probs": a + b, "score": a * b}, both),
            "sum": (lambda a, b: {"total": a + b}, both),
            "difference": (lambda a, b: {"total": a - b}, both),
        },
    )


def types(path: Path) -> None:
    """Saves one identity per dtype, any shape, named for the dtype."""
    save(
        path,
        {
            name: (lambda x: {"y": tf.identity(x)}, [tf.TensorSpec(None, getattr(tf, name), name="x")])
            for name in IDENTITY_TYPES
        },
    )


def words(path: Path) -> None:
    """Saves ``joined = "<" + text + ">"`` and its length in bytes."""
    save(
        path,
        {
            "serving_default": (
                lambda text: {
                    "joined": tf.strings.join(["<", text, ">"]),
                    "length": tf.strings.length(text),
                },
                [_spec("text", "string")],
            )
        },
    )


def slow(path: Path) -> None:
    """Saves a model that keeps the session busy for about the largest of ``ms`` milliseconds, and echoes them."""

    def work(ms: Any) -> dict[str, Any]:
        start = tf.timestamp()
        seconds = tf.cast(tf.reduce_max(tf.concat([ms, [0]], 0)), tf.float64) / 1000.0
        matrix = tf.ones((128, 128))
        (spent,) = tf.while_loop(
            lambda total: tf.timestamp() - start < seconds + 0.0 * tf.cast(total, tf.float64),
            lambda total: (total * 0.0 + tf.reduce_sum(tf.linalg.matmul(matrix, matrix)) * 0.0,),
            (tf.constant(0.0),),
        )
        return {"done": ms + tf.cast(spent, tf.int32)}

    save(path, {"serving_default": (work, [_spec("ms", "int32")])})


def picky(path: Path) -> None:
    """Saves a product with a 3 x 2 matrix, from an input whose width the signature leaves open."""
    weights = tf.reshape(tf.range(6, dtype=tf.float32), (3, 2))
    save(
        path,
        {
            "serving_default": (
                lambda x: {"y": tf.linalg.matmul(x, weights)},
                [_spec("x", shape=(None, None))],
            )
        },
    )


def unbatched(path: Path) -> None:
    """Saves what batching cannot do: scalar input, scalar output, a label vector without the batch dimension."""
    save(
        path,
        {
            "serving_default": (
                lambda x: {"y": x + 1.0, "labels": tf.constant([b"one", b"two", b"three", b"four", b"five"])},
                [_spec("x")],
            ),
            "scalar_in": (lambda x: {"y": x + 1.0}, [_spec("x", shape=())]),
            "scalar_out": (lambda x: {"y": tf.reduce_sum(x)}, [_spec("x")]),
        },
    )


def image(path: Path) -> None:
    """Saves the mean of each picture ``images`` uint8 [batch, 224, 224, 3], and ``pixels``, all of it as floats."""
    save(
        path,
        {
            "serving_default": (
                lambda images: {
                    "mean": tf.reduce_mean(tf.cast(images, tf.float32), axis=[1, 2, 3]),
                    "pixels": tf.cast(images, tf.float32),
                },
                [_spec("images", "uint8", (None, 224, 224, 3))],
            )
        },
    )


def add_warmup(path: Path, records: list[bytes]) -> None:
    """Writes serialised ``PredictionLog`` records into a version directory."""
    file = path / WARMUP_FILE
    file.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(file)) as writer:
        for record in records:
            writer.write(record)


CONFIG: Final = (
    """model_config_list {
  config { name: "hpt" base_path: "/models/hpt" model_platform: "tensorflow"
           model_version_policy { specific { versions: 1 versions: 2 } }
           version_labels { key: "stable" value: 1 } version_labels { key: "canary" value: 2 }
           version_labels { key: "unloaded" value: 3 } }
"""
    + "".join(
        f'  config {{ name: "{name}" base_path: "/models/{name}" model_platform: "tensorflow" }}\n'
        for name in ("pair", "types", "words", "slow", "picky", "unbatched", "image")
    )
    + "}\n"
)


def make_models(root: Path) -> None:
    """Makes every model under `root`, and ``models.config``, whose base paths are under ``/models``.

    Args:
        root: An existing directory. Models that are there already are made anew.
    """
    makers: dict[str, list[Callable[[Path], None]]] = {
        # Version 3 is on disk but not served: the configuration asks for 1 and 2.
        "hpt": [half_plus_two, lambda path: half_plus_two(path, 2.0), lambda path: half_plus_two(path, 3.0)],
        "pair": [pair],
        "types": [types],
        "words": [words],
        "slow": [slow],
        "picky": [picky],
        "unbatched": [unbatched],
        "image": [image],
    }
    for name, versions in makers.items():
        shutil.rmtree(root / name, ignore_errors=True)
        (root / name).mkdir()
        for number, make in enumerate(versions, start=1):
            make(root / name / str(number))
    (root / "models.config").write_text(CONFIG, encoding="utf-8")


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("directory", type=Path)
    directory: Path = parser.parse_args().directory
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    logging.getLogger("absl").setLevel(logging.ERROR)
    directory.mkdir(parents=True, exist_ok=True)
    make_models(directory)


if __name__ == "__main__":
    main()
