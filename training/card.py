"""The model card: what a version was made from, how well it does, and what it must not be used for."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from training.ablation import ablation_table, kind_of, percent
from training.data import Picture

#: A class trained on fewer pictures is marked: its figures say little.
LOW_EVIDENCE = 30


def sources_of(pictures: Sequence[Picture]) -> list[dict[str, Any]]:
    """Where pictures came from: a row of `source`, `licences` and `pictures` for each source, the largest first."""
    licences: dict[str, set[str]] = defaultdict(set)
    for picture in pictures:
        licences[picture.source].add(picture.licence or "not stated")
    counts = Counter(picture.source for picture in pictures)
    return [
        {"source": source or "not stated", "licences": sorted(licences[source]), "pictures": count}
        for source, count in counts.most_common()
    ]


def readable_card(card: dict[str, Any]) -> str:
    """Write a card, as `runs` makes it, for people.

    Args:
        card: The content of `card.json`.

    Returns:
        Markdown.
    """
    size = card["input"]
    test = card["metrics"]
    thin = [row for row in card["classes"] if row["trained_on"] < LOW_EVIDENCE]
    parts = "training and validation part" if card["trained_on"]["validation_included"] else "training part"
    lines = [
        f"# {card['model']}: {len(card['classes'])} classes",
        "",
        (
            f"A classifier of pictures by sport: {kind_of(card)}. "
            f"Made {card['made']} at commit `{card['code']['commit']}`."
        ),
        "",
        "## Use",
        "",
        (
            "Meant for sorting and tagging pictures in which a sport is practised. It always names a class, also "
            "for a picture that shows no sport at all: a low probability is a hint of that, no proof. It says "
            "nothing about who is in a picture and must not be used to judge people."
        ),
        "",
        (
            f"Input: RGB, uint8, stretched to {size['height']} x {size['width']} without keeping the aspect "
            "(`preprocessing.decode_picture`); the scaling of pixels is in the graph. Output: the likeliest classes "
            "with id, name and probability."
        ),
        "",
        "## Figures",
        "",
        (
            f"On {test['all']['pictures']} test pictures that the shipped weights never saw, "
            "asked through the exported model's signature. "
            "No test picture has a near-duplicate in another part (difference hash within "
            f"{card['settings']['hash_distance']} bits, also mirrored, or cosine of features from "
            f"{card['settings']['cosine']}); the labels of the test pictures are as clean, or not, as their source's."
        ),
        "",
        "| pictures | number | top-1 | top-3 | top-5 |",
        "|---|---|---|---|---|",
        _row("all", test["all"]),
        *(_row(f"source `{name or 'not stated'}`", row) for name, row in test["by_source"].items()),
        "",
        (
            f"Mean over the classes: top-1 {percent(test['mean_over_classes']['top1'])}, "
            f"top-3 {percent(test['mean_over_classes']['top3'])}."
        ),
        "",
        "Most often confused (truth, answer, pictures): "
        + "; ".join(f"{row['truth']}, {row['answer']}, {row['pictures']}" for row in test["confused"][:12])
        + ".",
        "",
        *ablation_table(card),
        "## Data",
        "",
        (
            f"{card['data']['pictures']} pictures, fingerprint `{card['data']['fingerprint'][:16]}`; the shipped "
            f"weights were trained on the {parts}, {card['trained_on']['pictures']} pictures."
        ),
        "",
        "| source | licence | pictures |",
        "|---|---|---|",
        *(
            f"| {row['source']} | {'; '.join(row['licences'])} | {row['pictures']} |"
            for row in card["sources"]
        ),
        "",
        (
            "Several sources come without a licence grant or are for research only. None of their pictures is in the "
            "model's folder; whether a model trained on them may be used for your purpose is for you to judge."
        ),
        "",
        "## Limits",
        "",
        "- Labels from web pictures and captions are partly wrong, most so in the small classes.",
        (
            "- The surroundings go with the sport in these pictures: a basketball game outdoors is rarer here than "
            "in life, and is recognised less well."
        ),
        (
            "- Some classes are parts of others (figure skating and its pairs, gymnastics and apparatus): look at "
            "the first three answers, and at the catalogue's parents."
        ),
        (
            f"- The logits are divided by a temperature of {card['temperature']:.3f}, fitted on the validation part; "
            f"the expected calibration error on the test pictures is {percent(test['calibration_error'])}. On other "
            "pictures than these, and most of all on such without any sport, probabilities mean less."
        ),
    ]
    if thin:
        lines += [
            "",
            f"Low evidence, trained on fewer than {LOW_EVIDENCE} pictures: "
            + ", ".join(f"{row['name']} ({row['trained_on']})" for row in thin)
            + ".",
        ]
    return "\n".join(lines) + "\n"


def _row(name: str, figures: dict[str, Any]) -> str:
    shares = " | ".join(percent(figures[f"top{k}"]["share"]) for k in (1, 3, 5))
    return f"| {name} | {figures['pictures']} | {shares} |"
