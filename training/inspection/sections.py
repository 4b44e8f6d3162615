"""The page's sections; one without anything to say is empty and is left out."""

from collections.abc import Mapping, Sequence
from typing import Any

from training.card import LOW_EVIDENCE
from training.inspection.drawings import class_bars, histogram
from training.inspection.pieces import LINES, Thumbnail, gallery, lines, side_by_side, soft
from training.report.markup import Markup, element
from training.report.pieces import figure, table

#: Pairs of each kind that are shown side by side.
_PAIRS, _DOUBTFUL = 48, 12

Section = list[Markup | None]


def unreadable(report: Mapping[str, Any]) -> Section:
    """Pictures that cannot be decoded, and what could not be read at all."""
    texts = [f"{one['file']} ({one['label']}): {one['reason']}" for one in report["unreadable"]]
    if not texts and not report["left_out"]:
        return []
    return [
        soft("Training leaves these out and names them in its record."),
        lines(texts) if texts else None,
        lines(report["left_out"]) if report["left_out"] else None,
    ]


def sizes(report: Mapping[str, Any], thumbnail: Thumbnail) -> Section:
    """Sizes and formats."""
    found = report["sizes"]
    if found is None:
        return []
    side = found["short_side"]
    counts = ", ".join(f"{name} {count:,}" for name, count in found["formats"].items())
    modes = ", ".join(f"{name} {count:,}" for name, count in found["modes"].items())
    middle = side["quantiles"]
    return [
        figure(
            histogram(side["bins"], "Pictures by their short side"),
            f"Half of the pictures have at least {middle['0.5']} pixels on their short side, 95% at least "
            f"{middle['0.05']}.",
        ),
        soft(
            f"Formats: {counts}. Modes of the pixels: {modes}. {found['turned']:,} are turned by EXIF, "
            f"{found['animated']:,} have several frames (the first counts). {found['bytes'] / 1e6:,.1f} MB in all."
        ),
        element("h3", "The smallest"),
        gallery(found["smallest"], thumbnail),
        element("h3", "The largest"),
        gallery(found["largest"], thumbnail),
        element("h3", f"More than three times as long as wide: {found['long']:,}") if found["long"] else None,
        gallery(found["longest"], thumbnail) if found["long"] else None,
    ]


def copies(report: Mapping[str, Any], thumbnail: Thumbnail) -> Section:
    """The same bytes more than once."""
    found = report["copies"]
    if not found["groups"]:
        return []
    grave = [one for one in found["listed"] if one["conflict"] or len(one["parts"]) > 1][:LINES]
    rest = [one for one in found["listed"] if not one["conflict"] and len(one["parts"]) < 2]
    rows = [
        [
            element("img", src=thumbnail(one["picture"]), alt="", loading="lazy", height=56),
            element("span", [[f"{each['label']}: {each['file']}", element("br")] for each in one["files"]]),
            "conflict" if one["conflict"] else "",
            ", ".join(one["parts"]),
        ]
        for one in grave
    ]
    return [
        element(
            "p",
            f"{found['groups']:,} pictures are there more than once, {found['surplus']:,} files too many. "
            f"{found['conflicts']:,} of them have different labels, {found['across_parts']:,} are in different parts "
            "of the split.",
        ),
        table(["picture", "files", "labels", "parts"], rows) if rows else None,
        lines(["; ".join(each["file"] for each in one["files"]) for one in rest]) if rest else None,
    ]


def near(report: Mapping[str, Any], thumbnail: Thumbnail) -> Section:
    """Near-duplicates, side by side."""
    found = report["near"]
    if not found["pairs"]:
        return []
    split = report["split"] is not None
    kinds = [
        ("across_same", "different parts, same label"),
        ("across_other", "different parts, other label"),
        ("within_same", "one part, same label" if split else "same label"),
        ("within_other", "one part, other label" if split else "other label"),
    ]
    shown = kinds if split else kinds[2:]
    bound = f"{found['likely_from']:.2f}"
    plain = (
        f" {found['too_plain']:,} pictures are too plain for this hash and were not compared."
        if found["too_plain"]
        else ""
    )
    content: Section = [
        element(
            "p",
            f"{found['pairs']:,} pairs have 64-bit difference hashes that differ in at most {found['distance']} "
            f"bits, also with one mirrored. {found['likely']:,} are likely: shrunk to 16 × 16, the two correlate by "
            f"{bound} or more. The others mostly share a composition only, and so do things that were all "
            f"photographed before one plain background. Look before you delete.{plain}",
        ),
        table(
            ["pairs", *(name for _, name in shown)],
            [
                [f"{row} ({sign} {bound})", *(f"{found['kinds'][kind][row]:,}" for kind, _ in shown)]
                for row, sign in (("likely", "from"), ("doubtful", "below"))
            ],
        ),
    ]
    for across, other, title in (
        (True, True, "In different parts, with different labels"),
        (True, False, "In different parts"),
        (False, True, "With different labels"),
        (False, False, "With the same label" + (", in one part" if split else "")),
    ):
        pairs = [one for one in found["listed"] if one["across"] == across and one["other_label"] == other]
        if pairs:
            content.append(element("h3", title))
            content += _shown(pairs, thumbnail)
    return content


def _shown(pairs: Sequence[Mapping[str, Any]], thumbnail: Thumbnail) -> Section:
    """Likely pairs, and a few of the doubtful ones, folded away."""
    likely = [one for one in pairs if one["likely"]][:_PAIRS]
    doubtful = [one for one in pairs if not one["likely"]][:_DOUBTFUL]
    folded = element(
        "details",
        element("summary", f"The {len(doubtful)} doubtful ones most alike"),
        side_by_side(doubtful, thumbnail),
    )
    return [side_by_side(likely, thumbnail) if likely else None, folded if doubtful else None]


def classes(report: Mapping[str, Any]) -> Section:
    """How many pictures each class has."""
    rows = report["classes"]
    parts = list(report["split"]["parts"]) if report["split"] else []
    low = sum(row["low_evidence"] for row in rows)
    legend = [
        element("span", element("i", class_=f"part-{min(number, 2)}"), part)
        for number, part in enumerate(parts)
    ]
    if report["split"] and report["split"]["in_no_part"]:
        legend.append(element("span", element("i", class_="part-none"), "in no part"))
    return [
        element(
            "p",
            f"{len(rows):,} classes; {low:,} have fewer than {LOW_EVIDENCE} pictures (dashed line, other colour): "
            "figures on them say little.",
        ),
        element("p", legend, class_="legend") if legend else None,
        class_bars(rows, parts, "Pictures of each class"),
        element(
            "details",
            element("summary", "As a table"),
            table(
                ["class", "pictures", *parts, "sources"],
                [
                    [
                        row["label"],
                        f"{row['pictures']:,}",
                        *(f"{row['parts'][part]:,}" for part in parts),
                        ", ".join(
                            f"{source or 'not told'} {count}" for source, count in row["sources"].items()
                        ),
                    ]
                    for row in rows
                ],
            ),
        ),
    ]


def sources(report: Mapping[str, Any]) -> Section:
    """How many pictures each source has."""
    rows = report["sources"]
    if not any(row["source"] for row in rows):
        return []
    parts = list(report["split"]["parts"]) if report["split"] else []
    return [
        table(
            ["source", "pictures", "classes", *parts, "median short side", "licence"],
            [
                [
                    row["source"] or "not told",
                    f"{row['pictures']:,}",
                    f"{row['classes']:,}",
                    *(f"{row['parts'][part]:,}" for part in parts),
                    str(row["short_side"]),
                    ", ".join(row["licences"]) or "not told",
                ]
                for row in rows
            ],
        )
    ]


def sheets(rows: Sequence[Mapping[str, Any]]) -> Section:
    """The contact sheet of each class, with the names of its pictures."""
    if not rows:
        return []
    content: Section = [
        soft(
            "Pictures keep their aspect here; training stretches them to its input. Click a sheet for its full size."
        )
    ]
    for row in rows:
        told = f"{len(row['shown'])} of {row['pictures']}" if len(row["shown"]) < row["pictures"] else "all"
        image = element(
            "img",
            src=row["sheet"],
            width=row["width"],
            height=row["height"],
            alt=f"Pictures of {row['label']}",
            loading="lazy",
            class_="sheet",
        )
        content += [
            element("h3", f"{row['label']}: {row['pictures']:,} ({told} shown)"),
            element("a", image, href=row["sheet"]),
            element(
                "details",
                element("summary", "File names"),
                element("ol", [element("li", name) for name in row["shown"]], class_="files"),
            ),
        ]
    return content
