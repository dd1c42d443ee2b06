"""`kubectl syncrollout validate`: held against all examples of the CRD, which the real API server judges too."""

from __future__ import annotations

import copy
import io
import json
from pathlib import Path

import pytest
import yaml

from backtest.plan import ROLLOUT
from crd import examples
from crd.examples import Example
from syncrollout.cli.mistakes import check
from syncrollout.cli.plugin import main

ROOT = Path(__file__).parents[2]
VALID, INVALID = examples.load("valid"), examples.load("invalid")
ONLY_THE_API_SERVER: tuple[str, ...] = ()
"""Invalid examples that nothing is found in without a cluster."""
OWN_WORDS = (
    "body should",
    "body must be of type",
    "Duplicate value",
    "Required value",
    "Unsupported value",
    "Too long",
    "unknown field",
)
"""What the API server says of types, bounds and names in words that are not the CRD's."""


def mistakes(text: str) -> list[str]:
    return [f"{each.line}: {each.text}" for each in check(text, "f.yaml").mistakes]


def as_text(example: Example) -> str:
    return yaml.safe_dump(example.manifest, sort_keys=False)


@pytest.mark.parametrize("example", VALID, ids=lambda example: example.name)
def test_what_the_api_server_takes_is_valid(example: Example) -> None:
    assert mistakes(as_text(example)) == []


def test_what_the_api_server_refuses_is_refused_and_with_the_same_sentences() -> None:
    passed, worded = [], []
    for example in INVALID:
        found = [each.text.partition(": ")[2] for each in check(as_text(example), "f.yaml").mistakes]
        if not found:
            passed.append(example.name)
        sentences = [each for each in example.expect if not each.startswith("<nil>")]
        rules = [each for each in sentences if not any(words in each for words in OWN_WORDS)]
        worded += [(example.name, rule) for rule in rules if not any(rule.endswith(each) for each in found)]
        assert len(found) <= len(sentences), (example.name, found)
    assert len(INVALID) > 100
    assert tuple(passed) == ONLY_THE_API_SERVER
    assert worded == []


@pytest.mark.parametrize("path", sorted((ROOT / "manifests" / "examples").rglob("*.yaml")), ids=lambda path: path.name)
def test_the_examples_of_the_manifests_are_valid(path: Path) -> None:
    assert check(path.read_text(), path.name).mistakes == ()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("weight: 50", "weight: fifty"), ["29: spec.phases[1].weight: Input should be a valid integer"]),
        (("weight: 50", "weight: '50'"), ["29: spec.phases[1].weight: Input should be a valid integer"]),
        (("weight: 50", "wieght: 50"),
         ["28: spec.phases[1].weight: Field required", ("29: spec.phases[1].wieght: there "
            "is no such field; did you mean weight?")]),
        (("    rollbackOn:", "    rollback_on:"), [("27: spec.phases[0].rollback_on: there is no such field; did you "
            "mean rollbackOn?")]),
        (("interval: 30s", "interval: 30"), [("11: spec.prometheus.interval: 30 is not a duration: write whole numbers "
            "with units s, m, h, d or w, such as 90s, 10m, 7d, at most 999w")]),
        (("interval: 30s", "interval: 2026-01-05"), [("11: spec.prometheus.interval: not a duration above zero; write "
            "whole numbers with units s, m, h, d or w, such as 30s, at most 999w")]),
        (("severity: Critical, metric: error-rate", "severity: Critical, metric: errors"), [("38: "
            "spec.rollback.triggers: a trigger names metric errors, which is not in spec.metrics; add the metric or "
            "correct the name")]),
        (("weight: 10\n", "weight: 60\n"), [("22: spec.phases: weights never fall from one phase to the next; put the "
            "phases in the order of their weights")]),
        (("name: medium", "name: small"), [("28: spec.phases[1]: there is one of name small already; give it another "
            "name, or remove it")]),
        (("    weight: 50\n", "    weight: 50\n    weight: 60\n"), ["29: spec.phases[1].weight: given more than once"]),
        (("syncrollout.io/v1alpha1", "syncrollout.io/v1"), [("1: apiVersion: 'syncrollout.io/v1' has to be "
            "syncrollout.io/v1alpha1")]),
        (("spec:\n", "statsu: {}\nspec:\n"), ["5: statsu: there is no such field; did you mean status?"]),
        (("  name: listing-sync\n", "  labels: {}\n"), ["3: metadata.name: missing; give the rollout a name"]),
        (("name: small", "name: small: new"), ["23: no YAML: mapping values are not allowed here"]),
    ],
)  # fmt: skip
def test_a_mistake_has_its_line_field_and_mend(change: tuple[str, str], said: list[str]) -> None:
    assert change[0] in ROLLOUT
    assert mistakes(ROLLOUT.replace(*change, 1)) == said


@pytest.mark.parametrize("value", [".nan", ".inf", "!!binary aGk=", "&all [*all]"])
def test_what_is_no_json_is_a_mistake(value: str) -> None:
    (mistake,) = mistakes(ROLLOUT.replace("weight: 50", f"weight: {value}"))
    assert mistake.startswith("5: spec: cannot be sent to an API server, for it is no JSON: ")


def test_what_stands_twice_by_an_alias_is_no_mistake() -> None:
    text = ROLLOUT.replace(
        "{workload: {kind: Deployment, name: sync-v1}", "{workload: {kind: &kind Deployment, name: a}"
    )
    text = text.replace("{workload: {kind: Deployment, name: sync-v2}", "{workload: {kind: *kind, name: b}")
    assert mistakes(text) == []


def test_all_mistakes_are_told_in_the_order_of_their_lines() -> None:
    text = ROLLOUT.replace("interval: 30s", "interval: fast").replace("weight: 100", "weight: 101")
    assert [each.partition(": ")[0] for each in mistakes(text)] == ["11", "34"]


def test_a_text_that_is_wrong_is_told_in_the_words_of_the_crd_beside_other_mistakes() -> None:
    text = ROLLOUT.replace("name: small", "name: Small Traffic").replace("weight: 100", "weight: 101")
    assert mistakes(text)[0] == (
        "23: spec.phases[0].name: not a name; write lower case letters, digits and -, such as small-traffic"
    )


def test_several_documents_and_lists_are_looked_through() -> None:
    service = "apiVersion: v1\nkind: Service\nmetadata: {name: sync-v1}\n---\n"
    wrong = ROLLOUT.replace("weight: 50", "weight: 101")
    checked = check(f"{service}{ROLLOUT}---\n---\n{wrong}", "f.yaml")
    assert checked.names == ("listing-sync", "listing-sync")
    assert [each.where for each in checked.mistakes] == ["f.yaml:73"]
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": [yaml.safe_load(wrong)]}, indent=1)
    (mistake,) = check(listed, "f.json").mistakes
    assert mistake.text.startswith("items[0].spec.phases[1].weight: ")


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """One that is right and one with a mistake."""
    right, wrong = tmp_path / "right.yaml", tmp_path / "wrong.yaml"
    right.write_text(ROLLOUT)
    wrong.write_text(ROLLOUT.replace("weight: 50", "weight: 101"))
    return right, wrong


def test_files_that_are_right_are_said_to_be(files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "-f", str(files[0])]) == 0
    assert capsys.readouterr().out == f"{files[0]}: SyncRollout listing-sync is valid\n"


def test_one_mistake_in_any_file_is_exit_code_1(files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "-f", str(files[1]), "-f", str(files[0])]) == 1
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{files[1]}:29: spec.phases[1].weight: ")
    assert second == f"{files[0]}: SyncRollout listing-sync is valid"


def test_standard_input(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(ROLLOUT))
    assert main(["validate", "-f", "-"]) == 0
    assert capsys.readouterr().out == "-: SyncRollout listing-sync is valid\n"


@pytest.mark.parametrize(
    ("text", "said"), [("kind: Service\n", "holds no SyncRollout"), ("", "holds no SyncRollout"), (None, "cannot be")]
)
def test_a_file_without_a_rollout_does_not_pass(
    text: str | None, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if text is not None:
        (tmp_path / "f").write_text(text)
    assert main(["validate", "-f", str(tmp_path / "f")]) == 1
    assert said in capsys.readouterr().out


def test_json_is_read_as_an_api_server_reads_it() -> None:
    """Beyond what every other YAML parser makes of it: halves of characters, exponents without a point, nulls."""
    manifest = copy.deepcopy(VALID[0].manifest)
    manifest["spec"]["phases"][0]["description"] = "\U0001f680 at last"
    manifest["spec"]["phases"][0]["success"] = [{"metric": manifest["spec"]["metrics"][0]["name"], "below": 1e-9}]
    manifest["spec"]["rollback"] = None
    text = json.dumps(manifest)
    assert "\\ud83d\\ude80" in text
    assert "1e-09" in text
    assert mistakes(text) == []


@pytest.mark.parametrize("value", ["\ud83d", 2**70, -(2**63) - 1, 1e400, {"a": None}, [None], True])
def test_a_value_that_no_rule_can_be_put_to_is_a_mistake_like_others(value: object) -> None:
    manifest = copy.deepcopy(VALID[0].manifest)
    manifest["spec"]["phases"][0]["weight"] = value
    assert any("spec.phases[0].weight" in each or "no JSON" in each for each in mistakes(json.dumps(manifest)))


def test_one_thing_twice_in_a_list_of_different_things_is_told() -> None:
    example = next(each for each in VALID if "audiences" in each.manifest["spec"].get("notifications", {}))
    manifest = copy.deepcopy(example.manifest)
    manifest["spec"]["notifications"]["audiences"][0]["events"] = ["Completed", "RolledBack", "Completed"]
    (said,) = mistakes(yaml.safe_dump(manifest))
    assert said.endswith("spec.notifications.audiences[0].events[2]: Completed is there already; remove one of them")
