"""Our model once more, with the float32 input that the old design sends: run as a process, for it needs TensorFlow.

python -m benchmarks.old_design.export models/sport_classifier/4 folder/sport_classifier_float32/1
"""

import argparse


def main() -> None:
    """Wrap the signature and save it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.old_design.export", description=__doc__)
    parser.add_argument("version", help="folder of an exported version")
    parser.add_argument("target", help="where the other is written")
    options = parser.parse_args()

    import tensorflow as tf

    loaded = tf.saved_model.load(options.version)
    signature = loaded.signatures["serving_default"]
    _, height, width, _ = signature.structured_input_signature[1]["images"].shape

    module = tf.Module()
    module.loaded = loaded

    @tf.function(input_signature=[tf.TensorSpec([None, height, width, 3], tf.float32, name="images")])
    def serve(images: tf.Tensor) -> dict[str, tf.Tensor]:
        outputs: dict[str, tf.Tensor] = signature(images=tf.cast(images, tf.uint8))
        return outputs

    tf.saved_model.save(module, options.target, signatures={"serving_default": serve})


if __name__ == "__main__":
    main()
