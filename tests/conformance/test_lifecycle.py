"""Versions and models coming and going under a running server. Every test has a model of its own."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import grpc
import pytest
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from tests.conformance.changing import Load, Model, slow_warmup, warmup_record
from tests.conformance.processes import eventually
from tests.conformance.wire import OK, Client, floats, model_config, predict_request, server_config

NOT_FOUND: Final = grpc.StatusCode.NOT_FOUND
SLOW: Final = ("slow", 1)


@pytest.fixture
def original(plain: Client, models_dir: Path) -> Iterator[Any]:
    """The configuration of the plain server; put back afterwards."""
    text = (models_dir / "models.config").read_text(encoding="utf-8")
    config = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    yield config
    assert plain.reload(config).code is OK


@pytest.fixture
def model(plain: Client, models_dir: Path, original: Any) -> Iterator[Model]:
    made = Model(plain, models_dir, original)
    yield made
    shutil.rmtree(made.directory, ignore_errors=True)


def test_a_new_version_takes_over_without_a_failed_request(model: Model) -> None:
    model.add(1)
    assert model.configure().code is OK
    with Load(model) as load:
        model.add(2, ("hpt", 2))
        model.await_served(2)
    assert not load.failures
    assert set(load.versions) == {1, 2} or load.versions[-1] == 1
    assert model.predict().version == 2
    assert [(v, model.client.state(model.name, v)) for v in model.client.statuses(model.name)] == [
        (2, "AVAILABLE"),
        (1, "END"),
    ]


def test_the_newest_removed_the_older_takes_over_without_a_failed_request(model: Model) -> None:
    model.add(1)
    model.add(2, ("hpt", 2))
    assert model.configure().code is OK
    assert model.predict().version == 2
    with Load(model) as load:
        model.remove(2)
        model.await_served(1)
    assert not load.failures
    assert model.predict().version == 1


def test_the_only_version_removed_and_put_back(model: Model) -> None:
    model.add(1)
    assert model.configure().code is OK
    model.remove(1)
    model.await_served()
    answer = model.predict()
    assert (answer.code, answer.message) == (
        NOT_FOUND,
        f"Servable not found for request: Latest({model.name})",
    )
    assert model.client.state(model.name, 1) == "END"
    model.add(1)
    model.await_served(1)
    assert model.predict().version == 1


def test_the_base_path_removed_keeps_serving(model: Model) -> None:
    model.add(1)
    assert model.configure().code is OK
    away = model.directory.with_name(f".away-{model.name}")
    model.directory.rename(away)
    # Nothing is to happen, so there is nothing to wait for: it is watched for longer than a look takes.
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        assert model.predict().version == 1
    away.rename(model.directory)
    model.add(2, ("hpt", 2))
    model.await_served(2)


def test_a_corrupt_version_ends_with_its_error_and_the_old_one_serves(model: Model) -> None:
    model.add(1)
    assert model.configure().code is OK
    model.add_corrupt(2)
    eventually(lambda: model.client.state(model.name, 2) == "END", "the corrupt version ends")
    row = model.client.statuses(model.name)[2]
    assert row.status.error_code != 0
    assert row.status.error_message
    assert model.client.state(model.name, 1) == "AVAILABLE"
    assert model.predict().version == 1
    assert model.predict(version=2).message == f"Servable not found for request: Specific({model.name}, 2)"


def test_mending_a_corrupt_version_does_not_load_it_but_a_new_number_does(model: Model) -> None:
    model.add(1)
    assert model.configure().code is OK
    model.add_corrupt(2)
    eventually(lambda: model.client.state(model.name, 2) == "END", "the corrupt version ends")
    shutil.copytree(model.models / "hpt" / "2", model.directory / "2", dirs_exist_ok=True)
    model.add(3, ("hpt", 3))
    model.await_served(3)
    assert model.client.state(model.name, 2) == "END"


def test_a_failing_warmup_record_fails_the_load(model: Model) -> None:
    model.add(1)
    assert model.configure().code is OK
    model.add(2, warmup=[warmup_record("any", {"wrong": floats(1)})])
    eventually(lambda: model.client.state(model.name, 2) == "END", "the version ends")
    row = model.client.statuses(model.name)[2]
    assert row.status.error_code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert model.predict().version == 1


def test_good_warmup_records_are_run(model: Model) -> None:
    model.add(1, warmup=[warmup_record("any", {"x": floats(1)})] * 3)
    assert model.configure().code is OK
    assert model.predict().version == 1


def test_during_a_long_warmup_the_old_version_keeps_serving(model: Model) -> None:
    model.add(1)
    assert model.configure().code is OK
    with Load(model) as load:
        model.add(2, SLOW, slow_warmup(1500))
        eventually(lambda: model.client.state(model.name, 2) == "LOADING", "version 2 is loading")
        answer = model.predict(version=2)
        loading = model.client.state(model.name, 2)
        eventually(
            lambda: model.client.state(model.name, 2) != "LOADING" or len(load.versions) > 20,
            "calls meanwhile",
        )
    assert loading == "LOADING"
    assert (answer.code, answer.message) == (
        NOT_FOUND,
        f"Servable not found for request: Specific({model.name}, 2)",
    )
    assert not load.failures
    assert 1 in load.versions
    model.await_served(2)


@pytest.mark.parametrize(
    ("policy", "served"),
    [({}, [3]), ({"latest": 2}, [2, 3]), ({"all": True}, [1, 2, 3]), ({"specific": [1, 3, 9]}, [1, 3])],
    ids=["default", "latest 2", "all", "specific"],
)
def test_version_policies(model: Model, policy: dict[str, Any], served: list[int]) -> None:
    for version in (1, 2, 3):
        model.add(version)
    assert model.configure(**policy).code is OK
    model.await_served(*served)
    assert model.predict().version == 3
    expected = [OK if version in served else NOT_FOUND for version in (1, 2, 3)]
    assert [model.predict(version=version).code for version in (1, 2, 3)] == expected


def test_names_that_are_no_numbers_are_not_versions(model: Model) -> None:
    model.add(1)
    for name in ("latest", "2-new", "v3", "-4"):
        (model.directory / name).mkdir()
    assert model.configure(all=True).code is OK
    assert list(model.client.statuses(model.name)) == [1]


def test_latest_two_moves_on(model: Model) -> None:
    for version in (1, 2):
        model.add(version)
    assert model.configure(latest=2).code is OK
    model.await_served(1, 2)
    model.add(3)
    model.await_served(2, 3)


def test_reload_adds_and_removes_a_model(model: Model, original: Any) -> None:
    model.add(1)
    assert model.predict().code is NOT_FOUND
    assert model.configure().code is OK
    assert model.predict().version == 1
    assert model.client.reload(original).code is OK
    eventually(lambda: model.predict().code is NOT_FOUND, "the model is gone")
    eventually(lambda: model.client.state(model.name, 1) == "END", "and listed as ended")


def test_labels_move(model: Model) -> None:
    for version in (1, 2):
        model.add(version)
    assert model.configure(all=True).code is OK
    model.await_served(1, 2)
    for version in (1, 2, 1):
        assert model.configure(all=True, labels={"live": version}).code is OK
        assert model.predict(label="live").version == version
    assert model.configure(all=True).code is OK
    assert model.predict(label="live").message == "Unrecognized servable version label: live"


def test_a_label_does_not_move_to_a_version_that_is_not_loaded(model: Model) -> None:
    model.add(1)
    assert model.configure(labels={"live": 1}).code is OK
    answer = model.configure(labels={"live": 3})
    assert (answer.code, answer.message) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        f"Request to assign label to version 3 of model {model.name}, which is not currently available for inference",
    )
    assert model.predict(label="live").version == 1


def test_a_relative_base_path_is_refused(plain: Client, original: Any) -> None:
    config = model_server_config_pb2.ModelServerConfig()
    config.CopyFrom(original)
    config.model_config_list.config.append(model_config("rel", "models/slow"))
    answer = plain.reload(config)
    assert (answer.code, answer.message) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "Expected model rel to have an absolute path or URI; got base_path()=models/slow",
    )
    assert plain.predict(predict_request("hpt", {"x": floats(1)})).code is OK


# On the real server such a call blocks every later one, so it is not made to a server of somebody else's.
@pytest.mark.usefixtures("embedded_only")
def test_a_missing_base_path_hangs_past_the_deadline(plain: Client, original: Any) -> None:
    config = model_server_config_pb2.ModelServerConfig()
    config.CopyFrom(original)
    config.model_config_list.config.append(model_config("missing", "/models/missing"))
    answer = plain.reload(config, timeout=0.5)
    assert (answer.code, answer.message) == (grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")


def test_an_empty_reload_is_refused(plain: Client) -> None:
    config = server_config()
    config.ClearField("config")
    assert plain.reload(config).code is grpc.StatusCode.INVALID_ARGUMENT
