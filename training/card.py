"""The model card: what a version was made from, how well it does, and what it must not be used for."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from training.ablation import ablation_table, kind_of, percent
from training.data import Picture

#: A class trained on fewer pictures is marked: its figures say little.
LOW_EVIDENCE = 30


_USE = (
    "Meant for sorting and tagging pictures in which a sport is practised. It always names a class, also "
    "for a picture that shows no sport at all: a low probability is a hint of that, no proof. It says "
    "nothing about who is in a picture and must not be used to judge people."
)
_PRODUCT_USE = (
    "Meant for sorting and tagging pictures of single sport products, packshots or in use. It always names a type, "
    "also for a picture that shows no product at all."
)
_LIMITS = (
    "- Labels from web pictures and captions are partly wrong, most so in the small classes.",
    (
        "- The surroundings go with the sport in these pictures: a basketball game outdoors is rarer here than "
        "in life, and is recognised less well."
    ),
    (
        "- Some classes are parts of others (figure skating and its pairs, gymnastics and apparatus): look at "
        "the first three answers, and at the catalogue's parents."
    ),
)
_PRODUCT_LIMITS = (
    "- A type, and most of all a group, with few training pictures is a guess: the table above says how many.",
    "- Most pictures show one product alone; of several in one picture it names one.",
    "- Groups without any training picture are left out, though the taxonomy has them.",
)


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
    rows = card.get("classes") or card["types"]
    thin = [row for row in rows if row["trained_on"] < LOW_EVIDENCE]
    parts = "training and validation part" if card["trained_on"]["validation_included"] else "training part"
    lines = [
        f"# {card['model']}: {len(rows)} {'classes' if 'classes' in card else 'product types'}",
        "",
        (
            f"A classifier of pictures by {'sport' if 'classes' in card else 'type of sport product'}: "
            f"{kind_of(card)}. Made {card['made']} at commit `{card['code']['commit']}`."
        ),
        "",
        "## Use",
        "",
        _USE if "classes" in card else _PRODUCT_USE,
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
        *_beside(test.get("heads", {}), test.get("heads_not_measured", [])),
        *_groups(card),
        *(ablation_table(card) if "classes" in card else []),
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
        *(_LIMITS if "classes" in card else _PRODUCT_LIMITS),
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


def _beside(heads: dict[str, Any], not_measured: Sequence[str]) -> list[str]:
    """What the heads beside the classes are worth."""
    if not heads and not not_measured:
        return []
    lines = ["## The other heads", ""]
    for name, figures in heads.items():
        if name == "is_sport":
            through = "; ".join(f"{source} {_share(one)}" for source, one in figures["let_through"].items())
            lines.append(
                f"- `is_sport`: AUROC {figures['auroc']:.3f}. At the threshold {figures['threshold']:.3f}, which was "
                f"taken on the validation part: precision {_share(figures['precision'])}, recall "
                f"{_share(figures['recall'])}. Pictures without sport let through, by source: {through}."
            )
        else:
            parts = "; ".join(f"{value} {_share(one)}" for value, one in figures["of"].items())
            lines.append(
                f"- `{name}`: right in {_share(figures['all'])} of test pictures labelled by eye ({parts}); of "
                f"further ones from sports that leave it open, {_share(figures['harder'])}. Trained on labels by "
                "eye, and elsewhere on what is certain of a sport."
            )
    for name in not_measured:
        lacking = (
            "validation and test part do not both have pictures with and without sport"
            if name == "is_sport"
            else "no test picture has a label for it"
        )
        lines.append(f"- `{name}`: answered, but not measured, as {lacking}.")
    return [*lines, ""]


def _groups(card: dict[str, Any]) -> list[str]:
    """The types of a product model, what is behind each, and how well it and its groups are told."""
    figures = card["metrics"].get("groups")
    if figures is None:
        return []
    by_class = {row["id"]: row for row in card["metrics"]["by_class"]}
    told = (
        f"Sports group, of test pictures whose group is known: right in {_share(figures['given_type'])} where "
        f"the type is, type and group both in {_share(figures['end_to_end'])}, and in "
        f"{_share(figures['where_there_is_a_choice'])} of those types that have several."
        if figures["end_to_end"]["of"]
        else "Sports groups are answered, but not measured, as the group of no test picture is known."
    )
    lines = [
        told,
        "",
        "| type | trained on | tested | top-1 | groups (pictures trained on) |",
        "|---|---|---|---|---|",
    ]
    for row in sorted(card["types"], key=lambda one: -one["trained_on"]):
        tested = by_class.get(row["id"], {})
        groups = "; ".join(f"{one['name']} ({one['trained_on']})" for one in row["groups"])
        lines.append(
            f"| {row['name']} | {row['trained_on']} | {tested.get('pictures', 0)} "
            f"| {percent(tested.get('top1', {}).get('share'))} | {groups} |"
        )
    return [*lines, ""]


def _share(one: dict[str, Any]) -> str:
    if not one["of"]:
        return "none"
    low, high = one["interval"]
    return f"{percent(one['share'])} of {one['of']} ({percent(low)} to {percent(high)})"


def _row(name: str, figures: dict[str, Any]) -> str:
    shares = " | ".join(percent(figures[f"top{k}"]["share"]) for k in (1, 3, 5))
    return f"| {name} | {figures['pictures']} | {shares} |"
