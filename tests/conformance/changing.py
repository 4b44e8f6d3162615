"""A model of a test's own on a running server: its versions come and go, and load is put on it meanwhile."""

import itertools
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from tensorflow_serving.apis import prediction_log_pb2
from tensorflow_serving.config import model_server_config_pb2

from tests.conformance.make_models import add_warmup
from tests.conformance.processes import eventually
from tests.conformance.wire import OK, Client, floats, model_config, predict_request, tensor

_numbers: Final = itertools.count(1)


class Model:
    """One model of the server's, with its directory."""

    def __init__(self, client: Client, models: Path, original: Any) -> None:
        # The time keeps names apart when a long-lived target is tested twice.
        self.name = f"life_{time.time_ns()}_{next(_numbers)}"
        self.client = client
        self.models = models
        self.directory = models / self.name
        self._original = original
        self.directory.mkdir()

    def add(
        self, version: int, source: tuple[str, int] = ("hpt", 1), warmup: list[bytes] | None = None
    ) -> None:
        """Publishes a version: a complete directory, renamed into place."""
        staged = self.directory / f".staged-{version}"
        shutil.copytree(self.models / source[0] / str(source[1]), staged)
        if warmup is not None:
            add_warmup(staged, warmup)
        staged.rename(self.directory / str(version))

    def add_corrupt(self, version: int) -> None:
        staged = self.directory / f".staged-{version}"
        staged.mkdir()
        (staged / "saved_model.pb").write_bytes(b"this is no protobuf")
        staged.rename(self.directory / str(version))

    def remove(self, version: int) -> None:
        # Out of the server's sight in one step, then away.
        gone = self.directory / f".gone-{version}"
        (self.directory / str(version)).rename(gone)
        shutil.rmtree(gone)

    def configure(self, **options: Any) -> Any:
        """Makes the server's configuration the original one and this model."""
        config = model_server_config_pb2.ModelServerConfig()
        config.CopyFrom(self._original)
        config.model_config_list.config.append(model_config(self.name, f"/models/{self.name}", **options))
        return self.client.reload(config)

    def predict(self, **spec: Any) -> Any:
        return self.client.predict(predict_request(self.name, {"x": floats(2)}, **spec))

    def serves(self, *versions: int) -> Callable[[], bool]:
        """Whether exactly these versions are available, and nothing is on its way."""

        def condition() -> bool:
            states = {
                version: self.client.state(self.name, version) for version in self.client.statuses(self.name)
            }
            available = {version for version, state in states.items() if state == "AVAILABLE"}
            return available == set(versions) and set(states.values()) <= {"AVAILABLE", "END"}

        return condition

    def await_served(self, *versions: int) -> None:
        eventually(self.serves(*versions), f"{self.name} serves {versions}")


class Load:
    """Predicts without a pause, from two threads, while something else happens."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(2)]
        self.failures: list[Any] = []
        self.versions: list[int] = []

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        eventually(lambda: bool(self.versions), "the load has begun")
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            answer = self._model.predict()
            if answer.code is OK:
                self.versions.append(answer.version)
            else:
                self.failures.append(answer)


def warmup_record(model: str, inputs: dict[str, Any], signature: str = "") -> bytes:
    """A serialised PredictionLog of one Predict call."""
    log = prediction_log_pb2.PredictionLog()
    log.predict_log.request.CopyFrom(predict_request(model, inputs, signature=signature))
    return bytes(log.SerializeToString())


def slow_warmup(ms: int) -> list[bytes]:
    """One record for the model ``slow`` that takes this long."""
    return [warmup_record("any", {"ms": tensor("int32", 1, int_val=[ms])})]
