import dataclasses
import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.training.pictures import coloured_noise, png, write_class_folders
from training import conversion
from training.backbones import BackboneSettings, build_backbone
from training.command import main
from training.conversion import write_records
from training.data import Dataset, read_class_folders
from training.errors import DataError
from training.pixels import decoded_pixels
from training.reading import locate, read_data, reader_by_name
from training.records import read_records, serialised_example
from training.shards import Frame, ShardError, find_shards, read_frames, write_frame
from training.split_file import read_split


def example(name: str, label: str, data: bytes = b"picture", **told: str) -> bytes:
    return serialised_example(data, name=name, label=label, number=0, told=told, form=None)


def write_shard(path: Path, *examples: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for one in examples:
            write_frame(file, one)
    return path


def foreign(**features: bytes | int) -> bytes:
    """An example with other features than ours."""
    made = {
        name.replace("_", "/"): tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
        if isinstance(value, bytes)
        else tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
        for name, value in features.items()
    }
    serialised: bytes = tf.train.Example(features=tf.train.Features(feature=made)).SerializeToString()
    return serialised


@pytest.fixture
def folders(tmp_path: Path) -> Dataset:
    return read_class_folders(write_class_folders(tmp_path / "folders", each=5))


def test_shards_are_the_same_data_as_the_files_they_were_made_of(tmp_path: Path, folders: Dataset) -> None:
    shards = write_records(folders, tmp_path / "shards", shard_bytes=2000)
    assert len(shards) > 3
    data = read_records(tmp_path / "shards")
    assert data.problems == ()
    assert data.fingerprint == folders.fingerprint
    assert [one.read() for one in data.pictures] == [one.read() for one in folders.pictures]
    assert {one.path for one in data.pictures} == set(shards)
    labels = (tmp_path / "shards" / "labels.txt").read_text()
    assert labels == "0:baseball\n1:cricket\n2:tennis\n"


def test_tensorflow_reads_what_we_write(tmp_path: Path, folders: Dataset) -> None:
    sports = Dataset(tuple(dataclasses.replace(one, task="sport") for one in folders.pictures))
    shards = write_records(sports, tmp_path / "shards", shard_bytes=2000)
    spec = {
        "image/encoded": tf.io.FixedLenFeature([], tf.string),
        "image/class/text": tf.io.FixedLenFeature([], tf.string),
        "image/class/label": tf.io.FixedLenFeature([], tf.int64),
        "image/filename": tf.io.FixedLenFeature([], tf.string),
        "image/format": tf.io.FixedLenFeature([], tf.string),
        "image/task": tf.io.FixedLenFeature([], tf.string),
    }
    found = []
    for record in tf.data.TFRecordDataset([str(one) for one in shards]):
        one = tf.io.parse_single_example(record, spec)
        found.append((one["image/filename"].numpy().decode(), one["image/class/text"].numpy().decode()))
        assert one["image/format"].numpy() == b"png"
        assert one["image/task"].numpy() == b"sport"
        assert one["image/class/label"].numpy() == sorted(folders.labels).index(found[-1][1])
        assert tf.io.decode_png(one["image/encoded"]).shape == (40, 40, 3)
    assert found == [(one.name, one.label) for one in folders.pictures]


def test_we_read_what_tensorflow_writes(tmp_path: Path) -> None:
    path = tmp_path / "train-00000-of-00001"
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(foreign(image_encoded=b"one", image_class_text=b"squash"))
        writer.write(example("a.png", "tennis", b"two", source="web", licence="CC0"))
    data = read_records(tmp_path)
    assert [(one.name, one.label, one.source, one.licence) for one in data.pictures] == [
        ("a.png", "tennis", "web", "CC0"),
        ("train-00000-of-00001#0", "squash", "", ""),
    ]
    assert [one.read() for one in data.pictures] == [b"two", b"one"]
    assert data.pictures[0].digest == hashlib.sha256(b"two").hexdigest()


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damage_anywhere_loses_only_what_it_must(data: st.DataObject) -> None:
    records = data.draw(st.lists(st.binary(max_size=30), min_size=1, max_size=6))
    file = io.BytesIO()
    starts = []
    for record in records:
        starts.append(file.tell())
        write_frame(file, record)
    whole = bytearray(file.getvalue())
    where = data.draw(st.integers(0, len(whole) - 1))
    if data.draw(st.booleans()):
        whole[where] ^= data.draw(st.integers(1, 255))
    else:
        del whole[where:]
    hit = max(number for number, start in enumerate(starts) if start <= where)
    read: list[bytes | None] = []
    cut = False
    try:
        read.extend(frame.data for frame in read_frames(io.BytesIO(bytes(whole))))
    except ShardError:
        cut = True
    assert read[:hit] == records[:hit], "what lies before the damage is whole"
    assert records[hit] not in read[hit : hit + 1]
    if not cut and len(read) > hit:
        assert read[hit] is None
        assert read[hit + 1 :] == records[hit + 1 :], "a damaged record alone does not cost those behind it"


def test_a_damaged_record_and_a_cut_off_end_are_named_and_the_rest_is_used(tmp_path: Path) -> None:
    shard = write_shard(
        tmp_path / "a.tfrecord",
        *(example(f"{number}.png", "judo", bytes([65 + number] * 50)) for number in range(4)),
    )
    whole = bytearray(shard.read_bytes())
    whole[whole.index(b"B" * 50) + 7] ^= 1
    shard.write_bytes(whole[:-10])
    data = read_records(tmp_path)
    assert [one.name for one in data.pictures] == ["0.png", "2.png"]
    damaged, cut = data.problems
    assert damaged == "a.tfrecord: record 1 is damaged: its checksum does not hold"
    assert cut.startswith("a.tfrecord: it is cut off within record 3")
    assert cut.endswith("2 examples before that are used")


def test_a_damaged_length_loses_the_rest_and_is_named(tmp_path: Path) -> None:
    shard = write_shard(tmp_path / "a.tfrecord", example("0.png", "judo"), example("1.png", "judo"))
    whole = bytearray(shard.read_bytes())
    whole[len(whole) // 2] ^= 1
    shard.write_bytes(whole)
    data = read_records(tmp_path)
    assert [one.name for one in data.pictures] == ["0.png"]
    assert "the length of record 1 is damaged; the rest" in data.problems[0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"x" * 100, "it is no TFRecord file"),
        (b"\x1f\x8b" + b"x" * 100, "compressed"),
        (b"abc", "it is cut off within record 0"),
        (b"", r"no examples in the 1 shards of .* \(the first problem: a\.tfrecord: it is empty"),
    ],
)
def test_what_is_no_shard_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.tfrecord").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_records(tmp_path)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (b"\xff\xff\xff", "no tf.train.Example"),
        (foreign(image_class_text=b"judo"), "no image/encoded"),
        (foreign(image_encoded=b"x"), "no label"),
    ],
)
def test_an_example_of_something_else_is_left_out_and_named(
    tmp_path: Path, record: bytes, message: str
) -> None:
    write_shard(tmp_path / "a.tfrecord", record, example("good.png", "judo"))
    data = read_records(tmp_path)
    assert [one.name for one in data.pictures] == ["good.png"]
    assert message in data.problems[0]
    assert data.problems[0].startswith("a.tfrecord: record 0: ")


def test_numbers_become_labels_by_the_file_beside(tmp_path: Path) -> None:
    write_shard(tmp_path / "a.tfrecord", foreign(image_encoded=b"x", image_class_label=7))
    with pytest.raises(DataError, match=r"number 7, and labels\.txt"):
        read_records(tmp_path)
    (tmp_path / "labels.txt").write_text("0:squash\n7:water polo\n")
    assert read_records(tmp_path).labels == ("water polo",)
    (tmp_path / "labels.txt").write_text("squash\n")
    with pytest.raises(DataError, match="number:label"):
        read_records(tmp_path)


def test_the_file_of_labels_is_read_for_numbers_alone(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("judo\nsquash\n")
    write_shard(tmp_path / "a.tfrecord", example("a.png", "judo"))
    assert read_records(tmp_path).labels == ("judo",)
    write_shard(tmp_path / "b.tfrecord", foreign(image_encoded=b"x", image_class_label=1))
    with pytest.raises(DataError, match=r"labels\.txt cannot be read.*number:label"):
        read_records(tmp_path)


def test_an_empty_shard_is_named_and_the_others_are_used(tmp_path: Path) -> None:
    write_shard(tmp_path / "a.tfrecord", example("a.png", "judo"))
    (tmp_path / "b.tfrecord").touch()
    data = read_records(tmp_path)
    assert [one.name for one in data.pictures] == ["a.png"]
    assert data.problems == ("b.tfrecord: it is empty; 0 examples before that are used",)


def test_missing_shards_of_a_series_are_named(tmp_path: Path) -> None:
    write_shard(tmp_path / "train-00002-of-00003.tfrecord", example("a.png", "judo"))
    assert read_records(tmp_path).problems == (
        "train-00000-of-00003.tfrecord: the shard is missing",
        "train-00001-of-00003.tfrecord: the shard is missing",
    )


def test_names_are_unique_and_do_not_hang_on_the_task(tmp_path: Path) -> None:
    write_shard(tmp_path / "a.tfrecord", example("1.png", "crowd", b"x", task="negative"))
    write_shard(
        tmp_path / "b.tfrecord", example("1.png", "judo", b"y", task="sport"), example("2.png", "judo")
    )
    everything = [one.name for one in read_records(tmp_path).pictures]
    assert everything == ["1.png", "2.png", "b.tfrecord#0"]
    assert [one.name for one in read_records(tmp_path, task="sport").pictures] == ["2.png", "b.tfrecord#0"]
    write_shard(tmp_path / "c" / "c.tfrecord", example("1.png", "crowd", b"x", task="negative"))
    with pytest.raises(DataError, match="task 'product'"):
        read_records(tmp_path / "c", task="product")


def test_which_files_are_shards(tmp_path: Path) -> None:
    taken = [
        "a.tfrecord",
        "b.tfrecords",
        "c-00000-of-00001",
        "d.tfrecord-00000-of-00001",
        "e-0-of-1.tfrecord",
    ]
    for name in [*taken, ".a.tfrecord", "labels.txt", "photo-1-of-2.jpg", "a.tfrecord.bak"]:
        (tmp_path / name).touch()
    (tmp_path / "folder.tfrecord").mkdir()
    assert [one.name for one in find_shards(tmp_path)] == taken
    assert find_shards(tmp_path / "a.tfrecord") == [tmp_path / "a.tfrecord"]
    assert find_shards(tmp_path / "none") == []


def test_a_shard_that_changed_is_not_read_as_if_it_had_not(tmp_path: Path) -> None:
    shard = write_shard(tmp_path / "a.tfrecord", example("1.png", "judo", b"abcd"))
    (picture,) = read_records(tmp_path).pictures
    write_shard(shard, example("1.png", "judo", b"wxyz"))
    with pytest.raises(OSError, match="has changed since it was indexed"):
        picture.read()
    assert picture.place == f"1.png in {shard}"


def test_an_index_is_made_once_until_the_shard_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shard = write_shard(tmp_path / "a.tfrecord", example("1.png", "judo"))
    read_records(tmp_path)
    read = []

    def counted(file: BinaryIO) -> Iterator[Frame]:
        read.append(1)
        return read_frames(file)

    monkeypatch.setattr("training.records.read_frames", counted)
    read_records(tmp_path)
    assert read == []
    write_shard(shard, example("1.png", "judo"), example("2.png", "judo"))
    assert len(read_records(tmp_path).pictures) == 2
    assert read == [1]


def test_pictures_of_a_list_are_found_in_shards_and_in_folders(tmp_path: Path, folders: Dataset) -> None:
    write_records(folders, tmp_path / "shards")
    listed = [*folders.pictures[:2], *read_class_folders(tmp_path / "folders").pictures[-1:]]
    for root in (tmp_path / "shards", tmp_path / "folders"):
        found, missing = locate(listed, root)
        assert missing == []
        assert [one.read() for one in found] == [one.read() for one in listed]
        assert reader_by_name(root)(listed[0].name) == listed[0].read()
        with pytest.raises(FileNotFoundError, match="none"):
            reader_by_name(root)("none.png")
    found, missing = locate(listed, tmp_path / "elsewhere")
    assert (found, missing) == ([], [one.name for one in listed])


def test_shards_tell_their_labels_themselves(tmp_path: Path) -> None:
    write_shard(tmp_path / "a.tfrecord", example("1.png", "judo"))
    assert read_data(tmp_path, None, task="sport").labels == ("judo",)
    with pytest.raises(DataError, match="Leave the manifest out"):
        read_data(tmp_path, tmp_path / "m.csv", task="sport")


def test_a_conversion_that_was_stopped_goes_on_and_gives_the_same(
    tmp_path: Path, folders: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_records(folders, tmp_path / "whole", shard_bytes=2000)
    written = []

    def stop(file: io.BufferedWriter, data: bytes) -> None:
        written.append(data)
        if len(written) == 10:
            raise OSError(28, "No space left on device")
        write_frame(file, data)

    monkeypatch.setattr(conversion, "write_frame", stop)
    with pytest.raises(OSError, match="No space"):
        write_records(folders, tmp_path / "shards", shard_bytes=2000)
    assert not (tmp_path / "shards").exists()
    assert find_shards(tmp_path / ".shards.draft")
    with pytest.raises(DataError, match="conversion of other data"):
        write_records(folders, tmp_path / "shards", shard_bytes=4000)
    before = len(written)
    shards = write_records(folders, tmp_path / "shards", shard_bytes=2000)
    assert len(written) - before < len(folders.pictures)
    assert [one.read_bytes() for one in shards] == [
        one.read_bytes() for one in find_shards(tmp_path / "whole")
    ]
    assert sorted(one.name for one in tmp_path.iterdir()) == ["folders", "shards", "whole"]


@pytest.mark.parametrize("told", [{"source": "web"}, {"licence": "CC0"}, {"task": "sport"}])
def test_a_draft_of_pictures_of_which_other_things_were_told_is_not_gone_on_with(
    tmp_path: Path, folders: Dataset, monkeypatch: pytest.MonkeyPatch, told: dict[str, Any]
) -> None:
    def stop(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(conversion, "write_frame", stop)
    with pytest.raises(OSError, match="No space"):
        write_records(folders, tmp_path / "shards")
    monkeypatch.undo()
    other = Dataset(tuple(dataclasses.replace(one, **told) for one in folders.pictures))
    assert other.fingerprint == folders.fingerprint
    with pytest.raises(DataError, match="conversion of other data"):
        write_records(other, tmp_path / "shards")
    write_records(folders, tmp_path / "shards")


def test_shards_made_of_shards_keep_each_picture_s_task(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    write_shard(
        tmp_path / "old" / "a.tfrecord",
        example("1.png", "judo", b"x", task="sport"),
        example("2.png", "judo"),
    )
    arguments = ["records", "--data", tmp_path / "old", "--out", tmp_path / "new"]
    assert main([str(one) for one in arguments]) == 0
    assert [one.name for one in read_records(tmp_path / "new", task="sport").pictures] == ["1.png", "2.png"]
    assert [one.name for one in read_records(tmp_path / "new", task="product").pictures] == ["2.png"]
    assert [one.task for one in read_records(tmp_path / "new").pictures] == ["sport", ""]


def test_a_conversion_overwrites_nothing_and_notices_changed_files(tmp_path: Path, folders: Dataset) -> None:
    (tmp_path / "shards").mkdir()
    (tmp_path / "shards" / "mine.txt").touch()
    with pytest.raises(DataError, match="something in it already"):
        write_records(folders, tmp_path / "shards")
    folders.pictures[0].path.write_bytes(png(coloured_noise((1, 2, 3), 99)))
    with pytest.raises(DataError, match="has changed since it was listed"):
        write_records(folders, tmp_path / "other")


def test_the_command_converts(tmp_path: Path, folders: Dataset, capsys: pytest.CaptureFixture[str]) -> None:
    rows = "".join(f"{one.name},{one.label},sport,web,CC0\n" for one in folders.pictures)
    (tmp_path / "m.csv").write_text("file,label,task,source,licence\n" + rows + "gone.png,judo,sport,,\n")
    source = ["--data", str(tmp_path / "folders"), "--manifest", str(tmp_path / "m.csv")]
    assert main(["records", *source, "--out", str(tmp_path / "shards")]) == 0
    assert "15 pictures, 1 shards, 0 MB" in capsys.readouterr().out
    data = read_data(tmp_path / "shards", None, task="sport")
    assert {(one.source, one.licence) for one in data.pictures} == {("web", "CC0")}
    with pytest.raises(DataError, match="no examples of task 'product'"):
        read_data(tmp_path / "shards", None, task="product")


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")
def test_training_from_shards_gives_the_same_split_and_head_as_from_files(
    tmp_path: Path, folders: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    write_records(folders, tmp_path / "shards", shard_bytes=2000)
    weights = tmp_path / "random.weights.h5"
    build_backbone(BackboneSettings("MobileNet", "none", 32, 32)).save_weights(weights)
    for source in ("folders", "shards"):
        options = {
            "--data": tmp_path / source,
            "--cache": tmp_path / f"cache-{source}",
            "--run": tmp_path / f"run-{source}",
            "--backbone": "MobileNet",
            "--backbone-weights": weights,
            "--size": 32,
            "--crops": 0,
            "--alike-cosine": 1.1,
            "--hidden": 0,
            "--epochs": 1,
        }
        assert main(["train", *(str(part) for pair in options.items() for part in pair)]) == 0
    for name in ("split.csv", "head.npz"):
        written = [(tmp_path / f"run-{source}" / name).read_bytes() for source in ("folders", "shards")]
        assert written[0] == written[1]
    tested = read_split(tmp_path / "run-folders" / "split.csv", tmp_path / "shards", "all")
    assert [one.read() for one in tested] == [one.read() for one in folders.pictures]
    with pytest.raises(DataError, match="15 of the 15 pictures"):
        read_split(tmp_path / "run-folders" / "split.csv", tmp_path, "all")
    left, right = (
        decoded_pixels(pictures, tmp_path / "pixels" / str(number), 16, 16, progress=False)
        for number, pictures in enumerate((tested, folders.pictures))
    )
    np.testing.assert_array_equal(left, right)
