"""Only what changes is changed, and the comments stay."""

from pathlib import Path

import pytest
from google.protobuf import text_format

from proto_client.messages import ModelServerConfig
from rollout.config_file import changed
from rollout.config_text import changed_text

SERVING_CONFIG = Path(__file__).resolve().parents[2] / "serving_config"


def parsed(text: str) -> ModelServerConfig:
    config: ModelServerConfig = text_format.Parse(text, ModelServerConfig())
    return config


def edit(text: str, versions: set[int], labels: dict[str, int], name: str = "m") -> tuple[str, bool]:
    meant = changed(parsed(text), name, versions, labels)
    new, kept = changed_text(text, meant, name)
    assert parsed(new) == meant
    return new, kept


LABELLED = """# The whole file.
model_config_list {
  config {
    name: "other" base_path: "/models/other" model_platform: "tensorflow"
    version_labels { key: "stable" value: 7 }
  }
  config {
    name: "m"
    base_path: "/models/m"  # inside the container
    model_platform: "tensorflow"
    # Both are loaded.
    model_version_policy { specific { versions: 3 versions: 4 } }
    # What gateways ask for.
    version_labels { key: "stable" value: 3 }  # for now
    # The trial.
    version_labels {
      key: "canary"
      value: 4
    }
  }
}
"""


def test_labels_and_policy_change_where_they_stand() -> None:
    new, kept = edit(LABELLED, {4}, {"stable": 4, "canary": 4})
    assert kept
    assert new == LABELLED.replace("versions: 3 versions: 4", "versions: 4").replace(
        'key: "stable" value: 3', 'key: "stable" value: 4'
    )


def test_a_label_of_several_lines_that_changes_becomes_one() -> None:
    new, kept = edit(LABELLED, {3, 4}, {"stable": 3, "canary": 3})
    assert kept
    assert new == LABELLED.replace(
        'version_labels {\n      key: "canary"\n      value: 4\n    }',
        'version_labels { key: "canary" value: 3 }',
    )


COMMENTED = """model_config_list {
  config {
    name: "m" base_path: "/models/m"
    model_version_policy {
      # Not in this order by chance.
      specific { versions: 4 versions: 3 }
    }
    version_labels {
      key: "stable"  # for all
      value: 3
    }
    version_labels { key: "canary" value: 3 }
  }
}
"""


def test_what_does_not_change_is_left_as_it_is_written() -> None:
    new, kept = edit(COMMENTED, {3, 4}, {"stable": 3, "canary": 4})
    assert kept
    assert new == COMMENTED.replace('"canary" value: 3', '"canary" value: 4')
    new, kept = edit(COMMENTED, {3, 4}, {"stable": 3, "canary": 3, "previous": 4})
    assert kept
    label = '    version_labels { key: "canary" value: 3 }\n'
    assert new == COMMENTED.replace(label, label + '    version_labels { key: "previous" value: 4 }\n')


@pytest.mark.parametrize(
    ("versions", "labels"),
    [({3}, {"stable": 3}), ({3, 4}, {"stable": 4}), ({3, 4}, {"canary": 3})],
    ids=["in the policy", "in a label that moves", "in a label that goes"],
)
def test_a_comment_that_goes_with_what_it_stood_in_is_told(
    versions: set[int], labels: dict[str, int]
) -> None:
    new, kept = edit(COMMENTED, versions, labels)
    assert not kept
    assert new.count("#") == 1


def test_a_hash_in_a_text_is_no_comment() -> None:
    text = COMMENTED.replace('"stable"  # for all', '"#1"')
    assert edit(text, {3, 4}, {"#1": 4}) == (
        text.replace('{\n      key: "#1"\n      value: 3\n    }', '{ key: "#1" value: 4 }').replace(
            '    version_labels { key: "canary" value: 3 }\n', ""
        ),
        True,
    )


@pytest.mark.parametrize("text", [LABELLED, COMMENTED, LABELLED.replace('key: "canary"', 'key: "x"')])
def test_lines_end_as_those_of_the_file_do(text: str) -> None:
    for labels in ({"stable": 3, "previous": 4}, {"stable": 4, "canary": 3, "trial": 4}, {"trial": 4}):
        plain = edit(text, {3, 4, 5}, labels)
        crlf = edit(text.replace("\n", "\r\n"), {3, 4, 5}, labels)
        assert crlf == (plain[0].replace("\n", "\r\n"), plain[1])


def test_a_new_label_goes_behind_the_last_and_a_gone_one_takes_its_line() -> None:
    new, kept = edit(LABELLED, {3, 4}, {"stable": 4, "previous": 3})
    assert kept
    assert '    version_labels { key: "stable" value: 4 }  # for now\n' in new
    assert '    version_labels { key: "previous" value: 3 }\n' in new
    assert "canary" not in new
    assert new.count("#") == LABELLED.count("#")


@pytest.mark.parametrize(
    "text",
    [
        'model_config_list { config { name: "m" base_path: "/m" model_platform: "tensorflow" } } # end',
        'model_config_list: <\n  config: <\n    name: \'m\';\n    base_path: "/" "m",\n  >\n>\n# end\n',
        'model_config_list {\n  config {\n    name: "m" # {\n    base_path: "/}"\n  }\n}\n',
        'model_config_list { config { name: "x" } config { name: "m" model_version_policy { all {} } } } # end',
    ],
)
def test_whatever_the_form(text: str) -> None:
    new, kept = edit(text, {1, 12}, {"stable": 12, "previous": 1})
    assert kept
    assert new.count("#") == text.count("#")


def test_a_form_that_is_not_known_is_written_anew_and_says_so() -> None:
    text = '# Gone.\nmodel_config_list { config: [ { name: "m" base_path: "/m" } ] }\n'
    new, kept = edit(text, {1}, {"stable": 1})
    assert not kept
    assert "#" not in new
    without = text.partition("\n")[2]
    assert edit(without, {1}, {"stable": 1})[1]


@pytest.mark.parametrize("file", ["models.config", "models.kubernetes.config"])
def test_the_shipped_files_keep_every_comment(file: str) -> None:
    text = (SERVING_CONFIG / file).read_text("utf-8")
    for name in ("sport_classifier", "product_classifier"):
        new, kept = edit(text, {3, 4}, {"stable": 3, "canary": 4, "previous": 3}, name)
        assert kept
        comments = [line.strip() for line in text.splitlines() if line.strip().startswith("#")]
        assert [line.strip() for line in new.splitlines() if line.strip().startswith("#")] == comments
