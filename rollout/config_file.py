"""The model servers' configuration file: the one place that says which versions are served and what labels mean.

Model servers cannot be asked for their configuration, a reload replaces all of it, and what a reload alone brought is
gone with the next restart (a TensorFlow Serving that polls its file even takes it back at the next look). So the file
is written first, always whole, and the servers are told what it says.
"""

import fcntl
import os
import tempfile
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager
from pathlib import Path

from google.protobuf import text_format

from proto_client.messages import ModelConfig, ModelServerConfig
from rollout.config_text import changed_text
from rollout.errors import RolloutError


class ConfigFile:
    """A text `ModelServerConfig` on disk.

    Attributes:
        path: Where it is.
        text: Its content, as last read or written.
        config: What it says.
        comments_lost: Whether a write had to drop comments of the file: some, or all of them.

    Raises:
        RolloutError: It cannot be read, or is no such configuration.
    """

    def __init__(self, path: Path) -> None:
        # A link is followed, or a rename would replace the link.
        self.path = path.resolve()
        self.text = self._read()
        self.config = _parse(self.text, self.path)
        self.comments_lost = False

    def model(self, name: str) -> ModelConfig:
        """Find a model's part.

        Raises:
            RolloutError: The file does not name the model.
        """
        return find_model(self.config, name, str(self.path))

    def change(self, name: str, versions: Set[int], labels: Mapping[str, int]) -> None:
        """Write a model's versions and labels, and leave the rest as it is. Nothing is written where nothing changes.

        Args:
            name: The model; the file names it.
            versions: The versions to serve, exactly.
            labels: All labels with their versions.

        Raises:
            RolloutError: Somebody else has changed the file meanwhile, or it cannot be written. It is then as it was.
        """
        meant = changed(self.config, name, versions, labels)
        if meant == self.config:
            return
        text, kept = changed_text(self.text, meant, name)
        self._write(text)
        self.comments_lost |= not kept
        self.config = meant

    def restore(self, text: str) -> None:
        """Write a content that the file had before, to the byte.

        Raises:
            RolloutError: As for `change`.
        """
        if text != self.text:
            self._write(text)
            self.config = _parse(text, self.path)

    def _read(self) -> str:
        try:
            # As the lines end there, for it is written so again.
            with self.path.open(encoding="utf-8", newline="") as file:
                return file.read()
        except (OSError, UnicodeDecodeError) as error:
            raise RolloutError(
                f"{self.path} cannot be read: {error}. Name the model servers' file."
            ) from error

    def _write(self, text: str) -> None:
        if self._read() != self.text:
            raise RolloutError(
                f"Somebody else has changed {self.path} meanwhile; it was left as it is. Look at it, and start again."
            )
        try:
            _replace(self.path, text)
        except OSError as error:
            raise RolloutError(f"{self.path} cannot be written: {error}. It is as it was.") from error
        self.text = text


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other rollouts of the same configuration away; the lock goes with the process, however it ends.

    Raises:
        RolloutError: Another one is under way, or the folder is not there.
    """
    # The folder: the file itself is another one after each write.
    folder = path.resolve().parent
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise RolloutError(f"{folder} cannot be opened: {error}.") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise RolloutError(
                f"Another rollout is under way in {folder}. Wait for its end, and start again."
            ) from error
        yield
    finally:
        os.close(handle)


def find_model(config: ModelServerConfig, name: str, where: str) -> ModelConfig:
    """Find a model's part in a configuration.

    Raises:
        RolloutError: It is not there.
    """
    models = config.model_config_list.config
    for model in models:
        if model.name == name:
            return model
    known = ", ".join(model.name for model in models) or "none"
    raise RolloutError(f"{where} names no model {name!r}; its models: {known}.")


def specific_versions(model: ModelConfig) -> set[int] | None:
    """The versions that a model's part names; None where it leaves the choice to the server (the latest, or all)."""
    policy = model.model_version_policy
    return set(policy.specific.versions) if policy.WhichOneof("policy_choice") == "specific" else None


def changed(
    config: ModelServerConfig, name: str, versions: Set[int], labels: Mapping[str, int]
) -> ModelServerConfig:
    """Copy a configuration with other versions and labels of one model."""
    copy = ModelServerConfig()
    copy.CopyFrom(config)
    model = find_model(copy, name, "The configuration")
    if specific_versions(model) != set(versions):
        model.model_version_policy.Clear()
        model.model_version_policy.specific.versions.extend(sorted(versions))
    model.version_labels.clear()
    for label, version in labels.items():
        model.version_labels[label] = version
    return copy


def _parse(text: str, path: Path) -> ModelServerConfig:
    try:
        config: ModelServerConfig = text_format.Parse(text, ModelServerConfig())
    except text_format.ParseError as error:
        raise RolloutError(f"{path} is no ModelServerConfig: {error}.") from error
    if config.WhichOneof("config") != "model_config_list":
        raise RolloutError(f"{path} holds no model_config_list, so there is nothing to roll out.")
    return config


def _replace(path: Path, text: str) -> None:
    """Put a new content in place of the old in one step: who reads it sees the one or the other, and never a part."""
    mode = path.stat().st_mode & 0o777
    handle, draft = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".new", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(draft).chmod(mode)
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
