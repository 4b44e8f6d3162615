"""Our model once more, with the float32 input that the old design sends: run as a process, for it needs TensorFlow.

python -m benchmarks.old_design.export models/sport_classifier/3 folder/sport_classifier_float32/1
"""

import sys

import tensorflow as tf


def main() -> None:
    """Wrap the signature and save it."""
    source, target = sys.argv[1:]
    loaded = tf.saved_model.load(source)
    signature = loaded.signatures["serving_default"]
    _, height, width, _ = signature.structured_input_signature[1]["images"].shape

    module = tf.Module()
    module.loaded = loaded

    @tf.function(input_signature=[tf.TensorSpec([None, height, width, 3], tf.float32, name="images")])
    def serve(images: tf.Tensor) -> dict[str, tf.Tensor]:
        outputs: dict[str, tf.Tensor] = signature(images=tf.cast(images, tf.uint8))
        return outputs

    tf.saved_model.save(module, target, signatures={"serving_default": serve})


if __name__ == "__main__":
    main()
