"""Reads what the tests need of a Dockerfile and of a .dockerignore. Not a whole parser of either."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Instruction:
    """One instruction, its continued lines joined."""

    keyword: str
    arguments: str


def read_dockerfile(path: Path = ROOT / "Dockerfile") -> list[Instruction]:
    """Return the instructions in their order."""
    lines = [
        line for line in path.read_text(encoding="utf-8").splitlines() if not line.lstrip().startswith("#")
    ]
    text = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [Instruction(*line.split(maxsplit=1)) for line in text.splitlines() if line.strip()]


def arguments(keyword: str, path: Path = ROOT / "Dockerfile") -> list[str]:
    """Return the arguments of every instruction of a kind, of all stages."""
    return [one.arguments for one in read_dockerfile(path) if one.keyword == keyword]


def last_stage(path: Path = ROOT / "Dockerfile") -> list[Instruction]:
    """Return the instructions of the stage that becomes the image."""
    instructions = read_dockerfile(path)
    start = max(index for index, one in enumerate(instructions) if one.keyword == "FROM")
    return instructions[start:]


def healthcheck_command() -> list[str]:
    """Return the command of the health check."""
    (check,) = arguments("HEALTHCHECK")
    command = json.loads(check[check.index("CMD") + len("CMD") :])
    assert isinstance(command, list)
    return command


def environment() -> dict[str, str]:
    """Return the variables that the image sets."""
    return {
        name: value.strip('"')
        for line in arguments("ENV")
        for name, value in (pair.split("=", 1) for pair in line.split())
    }


def copied_paths(path: Path = ROOT / "Dockerfile") -> list[str]:
    """Return what every COPY takes out of the repository, as it is written, without a closing slash."""
    lines = [line for line in arguments("COPY", path) if not line.startswith("--from=")]
    return [source.rstrip("/") for line in lines for source in line.split()[:-1]]


def image_files(root: Path = ROOT) -> dict[str, Path]:
    """Return our files in the image: paths relative to its working directory, and the files they are of."""
    context = build_context(root)
    files: dict[str, Path] = {}
    for line in [one.arguments for one in last_stage() if one.keyword == "COPY"]:
        if line.startswith("--from="):
            continue
        *sources, target = line.split()
        folder = Path(target)
        for source in (one.rstrip("/") for one in sources):
            if source in context:
                files[(folder / Path(source).name).as_posix()] = root / source
            # Docker copies what is in a folder, not the folder.
            for file in context:
                if file.startswith(f"{source}/"):
                    files[(folder / file.removeprefix(f"{source}/")).as_posix()] = root / file
    return files


def _pattern(rule: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", rule.strip("/"))
    wild = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    # Character ranges mean the same in both languages.
    body = "".join(
        wild.get(part) or re.escape(part).replace(r"\[", "[").replace(r"\]", "]") for part in parts
    )
    # A rule that names a folder holds for what is in it.
    return re.compile(f"{body}(?:/.*)?")


def build_context(root: Path = ROOT, ignore_file: str = ".dockerignore") -> set[str]:
    """Return the files that .dockerignore lets through to the builder, relative to the root.

    The last rule that matches a path decides, as Docker's reference says of .dockerignore. A Dockerfile by another
    name has its own, with ".dockerignore" behind that name.
    """
    lines = (root / ignore_file).read_text(encoding="utf-8").splitlines()
    rules = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    compiled = [(_pattern(rule.removeprefix("!")), rule.startswith("!")) for rule in rules]
    # The allow-list's names are enough to look through: walking the virtual environment takes seconds.
    tops = {rule.removeprefix("!").split("/")[0] for rule in rules if rule.startswith("!")}
    files = set()
    for top in tops:
        path = root / top
        for file in [path] if path.is_file() else path.rglob("*"):
            name = file.relative_to(root).as_posix()
            verdicts = [allowed for pattern, allowed in compiled if pattern.fullmatch(name)]
            if file.is_file() and (not verdicts or verdicts[-1]):
                files.add(name)
    return files
