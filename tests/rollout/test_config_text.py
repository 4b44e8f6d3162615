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
    ).replace(
        'version_labels {\n      key: "canary"\n      value: 4\n    }',
        'version_labels { key: "canary" value: 4 }',
    )


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
