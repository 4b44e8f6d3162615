"""What an exported model answers with: its classes, and beside them the other heads and the embedding."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import keras

from training.head_set import GROUP, TYPE, Head, HeadSet

# TensorFlow starts only when a model is exported: training needs no more than the names below.
if TYPE_CHECKING:
    from training.export import Scores

#: Heads that a sport model answers with beside the sport.
BESIDE = ("is_sport", "environment", "participation")
#: The classes of a head that answers yes or no, whose one output is the probability of yes.
NO_YES = ("no", "yes")


def sport_scorer(network: keras.Model, heads: HeadSet) -> "Callable[[Any], Scores]":
    """The outputs of a sport model: its first head as the classes, and beside it those of `BESIDE` that it has.

    A head of yes or no gives `<head>`, float32 [batch]: the probability of yes. Another gives
    `<head>_probabilities`, float32 [batch, n], and `<head>_names`, string [batch, n], in the order of its classes.
    The pooled features, divided by their length, are `embedding`, float32 [batch, features]: the dot product of two
    pictures' embeddings is their cosine.

    Args:
        network: From `classifier.build_classifier`.
        heads: The heads of its probabilities.

    Returns:
        A function from float32 pixels [batch, height, width, 3].
    """
    import tensorflow as tf

    from training.export import Scores

    parts = heads.slices

    def score(images: Any) -> "Scores":
        outputs = network(images, training=False)
        beside: dict[str, Any] = {"embedding": tf.math.l2_normalize(outputs["features"], axis=1)}
        for head in heads.heads[1:]:
            if head.name in BESIDE:
                beside |= _beside(head, outputs["probabilities"][:, parts[head.name]])
        return Scores(outputs["probabilities"][:, parts[heads.heads[0].name]], beside=beside)

    return score


def _beside(head: Head, probabilities: Any) -> dict[str, Any]:
    if head.ids == NO_YES:
        return {head.name: probabilities[:, 1]}
    import tensorflow as tf

    names = tf.tile(tf.constant([list(head.names)]), [tf.shape(probabilities)[0], 1])
    return {f"{head.name}_probabilities": probabilities, f"{head.name}_names": names}


def product_scorer(
    network: keras.Model, heads: HeadSet, groups: Mapping[str, Sequence[tuple[str, str]]]
) -> "Callable[[Any], Scores]":
    """The outputs of a product model: types as the classes, and under each its sports groups, likeliest first.

    Args:
        network: From `classifier.build_classifier`.
        heads: The heads of its probabilities.
        groups: The name, and the sports' ids joined by commas, of each group that is answered, by the id of the type;
            at least one for each. A type with several needs a head whose classes are their names.

    Returns:
        A function from float32 pixels [batch, height, width, 3].
    """
    import tensorflow as tf

    from training.export import Scores

    parts = heads.slices
    types = heads[TYPE].ids
    most = max(len(groups[one]) for one in types)

    def score(images: Any) -> "Scores":
        probabilities = network(images, training=False)["probabilities"]
        batch = tf.shape(probabilities)[0]
        of_each_class: dict[str, list[Any]] = {
            "group_probabilities": [],
            "group_names": [],
            "group_sports": [],
        }
        for one in types:
            own = groups[one]
            if len(own) == 1:
                given = tf.ones([batch, 1])
            else:
                place_of = {name: place for place, name in enumerate(heads[f"{GROUP}/{one}"].ids)}
                given = tf.gather(
                    probabilities[:, parts[f"{GROUP}/{one}"]], [place_of[name] for name, _ in own], axis=1
                )
            highest, which = tf.math.top_k(given, k=len(own))
            padding = [[0, 0], [0, most - len(own)]]
            of_each_class["group_probabilities"].append(tf.pad(highest, padding))
            for output, place in (("group_names", 0), ("group_sports", 1)):
                texts = tf.gather(tf.constant([group[place] for group in own]), which)
                of_each_class[output].append(tf.pad(texts, padding, constant_values=""))
        return Scores(
            probabilities[:, parts[TYPE]],
            {name: tf.stack(values, axis=1) for name, values in of_each_class.items()},
        )

    return score
