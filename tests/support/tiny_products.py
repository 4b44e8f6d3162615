"""A tiny product model by the contract (docs/architecture.md), made with the house's own export. Needs TensorFlow."""

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from catalogue import Products
from training.export import Scores, export_classifier


def export_tiny_products(
    directory: Path, products: Products, *, version: int, height: int, width: int
) -> Path:
    """Export a model of all types and groups of a taxonomy that answers from the picture's mean colour.

    Args:
        directory: The model's folder, `models/<name>`.
        products: The taxonomy.
        version: The version to publish.
        height: Rows of the input.
        width: Columns of the input.

    Returns:
        The version's folder.
    """
    types = products.types
    most = max(len(one.groups) for one in types)
    seeded = np.random.default_rng(version)
    type_weights = seeded.normal(scale=3.0, size=(3, len(types))).astype(np.float32)
    group_weights = seeded.normal(scale=3.0, size=(3, len(types) * most)).astype(np.float32)
    # Where a type has no more groups, a score that leaves the softmax nothing.
    missing = np.full((len(types), most), -np.inf, np.float32)
    names = np.full((len(types), most), "", object)
    sports = np.full((len(types), most), "", object)
    for row, one in enumerate(types):
        for column, group in enumerate(one.groups):
            missing[row, column] = 0.0
            names[row, column] = group.name
            sports[row, column] = ",".join(group.sport_ids)

    def in_order(texts: Any, order: Any) -> Any:
        every_picture = tf.repeat(tf.constant([texts.tolist()]), tf.shape(order)[0], axis=0)
        return tf.gather(every_picture, order, batch_dims=2)

    def score(images: Any) -> Scores:
        colour = tf.reduce_mean(images, axis=[1, 2]) / 127.5 - 1.0
        group_scores = tf.reshape(tf.matmul(colour, group_weights), [-1, len(types), most]) + missing
        probabilities, order = tf.math.top_k(tf.nn.softmax(group_scores), k=most)
        return Scores(
            tf.nn.softmax(tf.matmul(colour, type_weights)),
            of_each_class={
                "group_probabilities": probabilities,
                "group_names": in_order(names, order),
                "group_sports": in_order(sports, order),
            },
        )

    return export_classifier(
        score,
        [one.id for one in types],
        [one.name for one in types],
        height,
        width,
        directory,
        version=version,
        warmup_batch_sizes=(1,),
    )
