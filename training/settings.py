"""The settings of a training run, and what else must be known to understand or repeat it."""

import dataclasses
import importlib.metadata
import json
import platform
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras

from training.backbones import BackboneSettings
from training.grouping import COSINE, HASH_DISTANCE
from training.head import HeadSettings

#: The heads that are tried on the validation part where no others are asked for.
DEFAULT_HEADS = (HeadSettings(),)


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """All that decides a run beside its data.

    Attributes:
        task: Which rows of a manifest are used.
        backbone: The backbone.
        pooling: How its feature map becomes features.
        crops: Random crops of each training picture, beside itself and its mirror image.
        heads: The heads tried; validation chooses.
        validation: The share of the validation part.
        test: The share of the test part.
        hash_distance: See `grouping.HASH_DISTANCE`.
        cosine: See `grouping.COSINE`.
        seed: Seed of the split and of the heads.
        final_on_validation: Whether the shipped head is trained on training and validation part together, for as many
            epochs as the chosen head took.
    """

    task: str = "sport"
    backbone: BackboneSettings = field(default_factory=BackboneSettings)
    pooling: str = "avg+max"
    crops: int = 2
    heads: tuple[HeadSettings, ...] = DEFAULT_HEADS
    validation: float = 0.1
    test: float = 0.1
    hash_distance: int = HASH_DISTANCE
    cosine: float = COSINE
    seed: int = 0
    final_on_validation: bool = True

    def as_json(self) -> dict[str, Any]:
        """The settings as plain values; a weights file by its name alone, as its folder is this machine's affair."""
        values = dataclasses.asdict(self)
        weights = self.backbone.weights
        values["backbone"]["weights"] = weights if weights in {"imagenet", "none"} else Path(weights).name
        return values

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "TrainSettings":
        """The settings that `as_json` gave; the weights file may need its folder again."""
        rest = dict(values)
        rest["backbone"] = BackboneSettings(**rest["backbone"])
        rest["heads"] = tuple(HeadSettings(**head) for head in rest["heads"])
        return cls(**rest)


def code_version() -> dict[str, str]:
    """The commit of the code, with `-changed` where files differ from it, and the versions of what it stands on."""
    try:
        commit = _git("rev-parse", "HEAD")
        if _git(
            "status", "--porcelain", "--untracked-files=no", "--", "training", "preprocessing.py", "catalogue"
        ):
            commit += "-changed"
    except (OSError, subprocess.CalledProcessError):
        commit = "unknown"
    backend = keras.backend.backend()
    return {
        "commit": commit,
        "keras": keras.__version__,
        "python": platform.python_version(),
        # Read without importing it: starting TensorFlow takes seconds, and another backend does without.
        backend: importlib.metadata.version(backend),
    }


def _git(*arguments: str) -> str:
    here = Path(__file__).resolve().parent.parent
    command = ["git", "-C", str(here), *arguments]  # the installed git, with fixed arguments
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603


def write_json(path: Path, values: Any) -> None:
    """Write values as readable JSON, complete or not at all."""
    draft = path.with_name(f".{path.name}.draft")
    draft.write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    draft.replace(path)
