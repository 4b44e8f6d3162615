"""Changing one model's versions and labels in the text of a `ModelServerConfig`, and nothing else of the text.

Protobuf's own writer would drop every comment, and in our files comments are half of the content. So the few fields
that change are found in the text and replaced there; comments inside of these are lost, and the caller is told. The
outcome is read back: where it does not say what was meant, because the file is written in a way that this module does
not know, protobuf's writer writes the whole file.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from google.protobuf import text_format

from proto_client.messages import ModelConfig, ModelServerConfig

# Of the text format: https://protobuf.dev/reference/protobuf/textformat-spec/
_TOKEN: Final = re.compile(
    r"""(?P<space>(?:\s|\#[^\n]*)+)
    |(?P<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')
    |(?P<word>[^\s\#"'{}<>\[\]:;,]+)
    |(?P<mark>[{}<>\[\]:;,])""",
    re.VERBOSE,
)
_CLOSING: Final = {"{": "}", "<": ">"}


class _UnknownForm(Exception):
    """The text is written in a way that is not known here."""


@dataclass(frozen=True, slots=True)
class _Field:
    """A field in the text: where it is, and where the inside of its braces is; scalars have none."""

    name: str
    start: int
    end: int
    inside: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    start: int
    end: int


def changed_text(text: str, meant: ModelServerConfig, name: str) -> tuple[str, bool]:
    """Write a changed configuration over the text of the old one.

    Args:
        text: The old text; it must parse.
        meant: What the new text must say. It differs from the old in the version policy and the labels of one
            model, and in nothing else.
        name: The model's name.

    Returns:
        The new text, and whether all its comments are still there.
    """
    wanted = next(model for model in meant.model_config_list.config if model.name == name)
    try:
        new, kept = _edited(text, wanted)
        if text_format.Parse(new, ModelServerConfig()) == meant:
            return new, kept
    except (_UnknownForm, text_format.ParseError):
        pass
    return text_format.MessageToString(meant), "#" not in text


def _edited(text: str, wanted: ModelConfig) -> tuple[str, bool]:
    block = _block_of(text, wanted.name)
    if block.inside is None:
        raise _UnknownForm
    edits: list[tuple[int, int, str]] = []
    labels = dict(wanted.version_labels)
    is_policy = _parsed(text[slice(*block.inside)]).model_version_policy == wanted.model_version_policy
    policy = "" if is_policy else _policy(wanted)
    # New labels go behind the last of these; with none, to the end of the model's block.
    last: _Field | None = None
    for field in _fields(text, *block.inside):
        if field.name == "model_version_policy":
            if not is_policy:
                edits.append((field.start, field.end, policy))
            policy, last = "", field
        elif field.name == "version_labels":
            ((key, number),) = _parsed(text[field.start : field.end]).version_labels.items()
            if key in labels:
                if labels[key] != number:
                    edits.append((field.start, field.end, _label(key, labels[key])))
                del labels[key]
                last = field
            else:
                edits.append((*_whole_lines(text, field), ""))
    new = [policy] if policy else []
    new += [_label(key, number) for key, number in labels.items()]
    if new:
        edits.append(_insertion(text, block, last, new))
    kept = not any(_commented(text, start, end) for start, end, _ in edits)
    for start, end, replacement in sorted(edits, reverse=True):
        text = text[:start] + replacement + text[end:]
    return text, kept


def _insertion(text: str, block: _Field, last: _Field | None, new: list[str]) -> tuple[int, int, str]:
    assert block.inside is not None  # noqa: S101 (its only caller has looked)
    line_end = "\r\n" if "\r\n" in text else "\n"
    if last is not None:
        begin = text.rfind("\n", 0, last.start) + 1
        indent = text[begin : last.start]
        separator = f"{line_end}{indent}" if not indent.strip() else " "
        # Behind the comment, if any, that ends the line.
        end = text.find("\n", last.end)
        rest = text[last.end : end if end >= 0 else len(text)].rstrip("\r")
        place = last.end + len(rest) if rest.lstrip().startswith("#") else last.end
        return place, place, "".join(separator + one for one in new)
    start, end = block.inside
    if "\n" not in text[start:end]:
        return end, end, "".join(f"{one} " for one in new)
    begin = text.rfind("\n", 0, block.start) + 1
    head = text[begin : block.start]
    indent = head[: len(head) - len(head.lstrip())]
    place = text.rfind("\n", start, end) + 1
    return place, place, "".join(f"{indent}  {one}{line_end}" for one in new)


def _commented(text: str, start: int, end: int) -> bool:
    found = _TOKEN.finditer(text, start, end)
    return any(token.lastgroup == "space" and "#" in token[0] for token in found)


def _whole_lines(text: str, field: _Field) -> tuple[int, int]:
    """The field's span, with its line's rest where the line holds nothing else."""
    begin = text.rfind("\n", 0, field.start) + 1
    end = text.find("\n", field.end)
    end = len(text) if end < 0 else end + 1
    if not text[begin : field.start].strip() and not text[field.end : end].strip():
        return begin, end
    return field.start, field.end


def _policy(model: ModelConfig) -> str:
    numbers = " ".join(
        f"versions: {number}" for number in sorted(model.model_version_policy.specific.versions)
    )
    if not numbers:
        raise _UnknownForm
    return f"model_version_policy {{ specific {{ {numbers} }} }}"


def _label(key: str, number: int) -> str:
    # As serving_config/ready.sh reads it, too.
    return f'version_labels {{ key: "{key}" value: {number} }}'


def _parsed(text: str) -> ModelConfig:
    parsed: ModelConfig = text_format.Parse(text, ModelConfig())
    return parsed


def _block_of(text: str, name: str) -> _Field:
    for outer in _fields(text, 0, len(text)):
        if outer.name == "model_config_list" and outer.inside is not None:
            for block in _fields(text, *outer.inside):
                if block.inside is not None and _parsed(text[slice(*block.inside)]).name == name:
                    return block
    raise _UnknownForm


def _fields(text: str, start: int, end: int) -> Iterator[_Field]:
    tokens = list(_tokens(text, start, end))
    place = 0
    while place < len(tokens):
        token = tokens[place]
        place += 1
        if token.kind == "mark" and token.text in ";,":
            continue
        if token.kind != "word" or place == len(tokens):
            raise _UnknownForm
        if tokens[place].text == ":":
            place += 1
        first = place
        place = _value_end(tokens, first)
        is_block = tokens[first].text in _CLOSING
        inside = (tokens[first].end, tokens[place - 1].start) if is_block else None
        yield _Field(token.text, token.start, tokens[place - 1].end, inside)


def _value_end(tokens: list[_Token], place: int) -> int:
    """The place behind the value that begins at `place`."""
    if place >= len(tokens):
        raise _UnknownForm
    token = tokens[place]
    if token.text in _CLOSING:
        waiting = [_CLOSING[token.text]]
        while waiting:
            place += 1
            if place >= len(tokens):
                raise _UnknownForm
            token = tokens[place]
            if token.text in _CLOSING:
                waiting.append(_CLOSING[token.text])
            elif token.kind == "mark" and token.text in "}>" and token.text != waiting.pop():
                raise _UnknownForm
        return place + 1
    if token.kind == "mark":
        raise _UnknownForm
    # Strings side by side are one.
    while token.kind == "string" and place + 1 < len(tokens) and tokens[place + 1].kind == "string":
        place += 1
    return place + 1


def _tokens(text: str, start: int, end: int) -> Iterator[_Token]:
    while start < end:
        found = _TOKEN.match(text, start, end)
        if found is None:
            raise _UnknownForm
        if found.lastgroup != "space":
            yield _Token(found.lastgroup or "", found[0], found.start(), found.end())
        start = found.end()
