import json
import stat
from pathlib import Path

import pytest

from catalogue import load_catalogue, load_products, parse_catalogue
from catalogue.cli import main
from catalogue.reading import SPORTS_FILE
from catalogue.writing import format_catalogue, write_atomically
from tests.catalogue.examples import document, resource, sport, write_json


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A catalogue of two sports, in the form that the command writes."""
    path = tmp_path / "own.json"
    catalogue = parse_catalogue(document(sport("luge"), sport("chess", id="10002")), "test")
    path.write_text(format_catalogue(catalogue), encoding="utf-8")
    return path


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    return write_json(
        tmp_path / "dump.json", {"data": [resource("300", "luge", "Luge"), resource("5", "golf", "Golf")]}
    )


@pytest.fixture
def own_products(tmp_path: Path) -> Path:
    """One product type, of the sports in `own`."""
    group = {"name": "Luge", "sports": ["luge"], "labels": ["Luge"]}
    sleds = {"id": "sleds", "name": "sleds", "groups": [group, {**group, "name": "Any", "labels": []}]}
    return write_json(tmp_path / "products.json", {"types": [sleds]})


def card(models: Path, *classes: dict[str, str]) -> None:
    write_json(models / "sport_classifier" / "1" / "card.json", {"classes": list(classes)})


def test_check_passes_the_built_in_catalogue(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check"]) == 0
    out = capsys.readouterr().out
    assert f"{len(load_catalogue())} sports in" in out
    assert f"{len(load_products(load_catalogue()))} product types with" in out


def test_check_names_every_problem(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = write_json(tmp_path / "broken.json", document(sport("luge", group="sand", parent="ski")))
    assert main(["check", "--catalogue", str(broken)]) == 1
    error = capsys.readouterr().err
    assert str(broken) in error
    assert "the group 'sand'" in error
    assert "the parent 'ski'" in error


def test_check_names_problems_of_the_product_types(
    own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # The built-in ones name sports that this catalogue does not have: the gateway would not start with the two.
    assert main(["check", "--catalogue", str(own)]) == 1
    error = capsys.readouterr().err
    assert "products.json" in error
    assert "names the sport 'hiking', which is not in the catalogue" in error


def test_check_models_passes_current_and_former_ids(
    own: Path, own_products: Path, dump: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = tmp_path / "models"
    card(models, {"id": "10001", "name": "Luge"}, {"id": "10002", "name": "Chess"})
    sleds = {"id": "sleds", "name": "sleds", "groups": [{"name": "Luge", "sports": ["10001"]}]}
    write_json(models / "product_classifier" / "1" / "card.json", {"types": [sleds]})
    command = ["check", "--catalogue", str(own), "--products", str(own_products), "--models", str(models)]
    assert main(command) == 0
    assert "What 2 model versions name is all in the catalogue." in capsys.readouterr().out
    assert main(["import", str(dump), "--catalogue", str(own)]) == 0
    assert main(command) == 0


def test_check_models_names_strangers(
    own: Path, own_products: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = tmp_path / "models"
    card(models, {"id": "10001", "name": "luge"}, {"id": "7", "name": "Go"}, {"id": "10002"})
    (models / "sport_classifier" / "2").mkdir()
    write_json(models / "sport_classifier" / "3" / "card.json", {"classes": []})
    command = ["check", "--catalogue", str(own), "--products", str(own_products), "--models", str(models)]
    assert main(command) == 1
    error = capsys.readouterr().err
    assert "sport_classifier/1: the class 10001 is called 'luge', but the catalogue calls it 'Luge'" in error
    assert "sport_classifier/1: the class 'Go' has the id 7, which no sport" in error
    assert "a class needs texts as id and name" in error
    assert "sport_classifier/2: card.json can't be read" in error
    assert "sport_classifier/3: card.json needs either a list" in error


def test_check_models_names_what_is_not_in_the_taxonomy(
    own: Path, own_products: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    luge = {"name": "Luge", "sports": ["10001"]}
    types: list[object] = [
        {"id": "skis", "name": "skis", "groups": [luge]},
        {"id": "sleds", "name": "sledges", "groups": [luge]},
        {
            "id": "sleds",
            "name": "sleds",
            "groups": [{**luge, "name": "Curling"}, {**luge, "sports": ["10002"]}],
        },
        {"id": "sleds", "name": "sleds", "groups": [{"name": "Luge"}]},
        {"id": "sleds", "name": "sleds"},
        "sleds",
    ]
    write_json(tmp_path / "models" / "product_classifier" / "1" / "card.json", {"types": types})
    command = ["check", "--catalogue", str(own), "--products", str(own_products)]
    assert main([*command, "--models", str(tmp_path / "models")]) == 1
    assert [line.split(": ", 1)[1] for line in capsys.readouterr().err.splitlines()[1:]] == [
        "the type 'skis' has the id 'skis', which no product type has",
        "the type sleds is called 'sledges', but the taxonomy calls it 'sleds'",
        "the type 'sleds': the group 'Curling' is not one of the type's groups in the taxonomy",
        "the type 'sleds': the group 'Luge' stands for the sports ['10002'], but in the taxonomy for ['10001']",
        "the type 'sleds': a group needs a text as name and a list of sports, not {'name': 'Luge'}",
        "a type needs texts as id and name and a list of groups, not {'id': 'sleds', 'name': 'sleds'}",
        "a type needs texts as id and name and a list of groups, not 'sleds'",
    ]


def test_check_models_refuses_a_folder_without_models(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "--models", str(tmp_path)]) == 1
    assert "has no model in it" in capsys.readouterr().err


def test_import_in_place_reports_and_is_idempotent(
    own: Path, dump: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own.chmod(0o640)
    assert main(["import", str(dump), "--catalogue", str(own)]) == 0
    out = capsys.readouterr().out
    assert "1 ids replaced, 0 official already." in out
    assert "Luge: 10001 → 300 (luge)" in out
    assert "0 conflicts" in out
    assert "10002 Chess" in out
    assert "5 Golf (golf)" in out
    assert stat.S_IMODE(own.stat().st_mode) == 0o640
    written = own.read_bytes()
    before = own.stat().st_mtime_ns
    assert main(["import", str(dump), "--catalogue", str(own)]) == 0
    assert "0 ids replaced, 1 official already." in capsys.readouterr().out
    assert own.read_bytes() == written
    assert own.stat().st_mtime_ns == before


def test_import_to_another_file_leaves_the_catalogue_alone(own: Path, dump: Path, tmp_path: Path) -> None:
    before = own.read_bytes()
    output = tmp_path / "new.json"
    assert main(["import", str(dump), "--catalogue", str(own), "--output", str(output)]) == 0
    assert own.read_bytes() == before
    assert load_catalogue(output).by_id("300") is not None


def test_import_of_the_built_in_catalogue(dump: Path, tmp_path: Path) -> None:
    before = SPORTS_FILE.read_bytes()
    output = tmp_path / "new.json"
    assert main(["import", str(dump), "--output", str(output)]) == 0
    luge = load_catalogue(output).by_id("300")
    assert luge is not None
    assert luge.name == "Luge"
    assert SPORTS_FILE.read_bytes() == before


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        '{"data": []}',
        '{"data": [{"id": "x", "type": "sport"}]}',
        json.dumps({"data": [resource("1" * 5_000, "luge", "Luge")]}),
        json.dumps({"data": [resource("300", "luge", "Luge"), resource("5", "golf", "Golf \ud800")]}),
    ],
)
def test_bad_input_changes_nothing(
    content: str, own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dump = tmp_path / "bad.json"
    dump.write_text(content, encoding="utf-8")
    before = own.read_bytes()
    assert main(["import", str(dump), "--catalogue", str(own)]) == 1
    captured = capsys.readouterr()
    assert str(dump) in captured.err
    assert captured.out == ""
    assert own.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.json", "own.json"]


def test_an_import_that_would_break_the_catalogue_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Another sport had that id before.
    chess = sport("chess", id="301", id_source="sports-api", former_ids=["300"])
    own = write_json(tmp_path / "own.json", document(sport("luge"), chess))
    dump = write_json(tmp_path / "dump.json", {"data": [resource("300", "luge", "Luge")]})
    before = own.read_bytes()
    assert main(["import", str(dump), "--catalogue", str(own)]) == 1
    assert "sport id '300' is used more than once" in capsys.readouterr().err
    assert own.read_bytes() == before


def test_a_place_that_cannot_be_written_is_said(
    own: Path, dump: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "nowhere" / "new.json"
    assert main(["import", str(dump), "--catalogue", str(own), "--output", str(output)]) == 1
    assert "can't be written" in capsys.readouterr().err


def test_writing_follows_a_link(tmp_path: Path) -> None:
    target = tmp_path / "target.json"
    target.write_text("old", encoding="utf-8")
    link = tmp_path / "link.json"
    link.symlink_to(target)
    write_atomically(link, "new")
    assert link.is_symlink()
    assert target.read_text(encoding="utf-8") == "new"


def test_writing_that_fails_leaves_no_draft(tmp_path: Path) -> None:
    path = tmp_path / "own.json"
    path.write_text("old", encoding="utf-8")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "\ud800")
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_command_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([])
    assert caught.value.code == 2
    assert "usage: python -m catalogue" in capsys.readouterr().err
