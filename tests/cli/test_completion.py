"""What a shell is offered, and by which protocol."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from syncrollout.cli import completion, suggesting
from syncrollout.cli.completion import NO_FILES, OFFER_FILES
from syncrollout.cli.kubectl import Kubectl, NotThere
from syncrollout.cli.plugin import app, main


def values(*words: str) -> list[str]:
    """What is offered, without help and directive."""
    *offered, directive = completion.offers(words)
    assert directive == NO_FILES
    return [line.partition("\t")[0] for line in offered]


@pytest.fixture(autouse=True)
def cluster(monkeypatch: pytest.MonkeyPatch) -> list[Kubectl]:
    """Two rollouts; which kubectl was asked is noted."""
    asked: list[Kubectl] = []

    def names(self: Kubectl, resource: str) -> list[str]:
        asked.append(self)
        return ["staging", "production"] if resource == "namespaces" else ["listings", "images", "listings-eu"]

    def get(self: Kubectl, resource: str, name: str) -> dict[str, Any]:
        if name != "listings":
            raise NotThere("(NotFound)")
        return {"spec": {"phases": [{"name": "small"}, {"name": "full"}]}}

    monkeypatch.setattr(Kubectl, "names", names)
    monkeypatch.setattr(Kubectl, "get", get)
    return asked


def test_every_command_is_offered_with_what_it_does() -> None:
    offered = completion.offers([""])
    listed = {
        (command.name or getattr(command.callback, "__name__", "")).replace("_", "-")
        for command in app.registered_commands
    }
    assert {line.partition("\t")[0] for line in offered[:-1]} == listed
    assert all("\t" in line for line in offered[:-1])
    assert offered[-1] == NO_FILES


def test_options_and_their_values_are_offered_and_none_of_the_machinery() -> None:
    assert "--dry-run" in values("rollback", "listings", "--d")
    assert values("rollback", "listings", "--dry-run", "") == ["none", "client", "server"]
    assert values("--") == ["--help"]


def test_names_are_those_of_the_cluster_that_the_options_before_name(cluster: list[Kubectl]) -> None:
    line = ("status", "-n", "sync", "--context", "a b", "--kubeconfig", "/dev/null", "list")
    assert values(*line) == ["listings", "listings-eu"]
    assert cluster == [Kubectl("sync", "a b", "/dev/null", timeout=suggesting.PATIENCE)]
    assert values("status", "-n", "stag") == ["staging"]


def test_a_cluster_that_does_not_answer_offers_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def names(self: Kubectl, resource: str) -> list[str]:
        raise NotThere("nothing here")

    monkeypatch.setattr(Kubectl, "names", names)
    assert values("status", "") == []
    assert values("status", "-n", "") == []


@pytest.mark.parametrize(
    "words",
    [
        ("validate", "-f", ""),
        ("record", "x", "-o", "re"),
        (
            "status",
            "--kubeconfig=",
        ),
        ("status", "--kubeconfig", ""),
    ],
)
def test_where_a_file_is_wanted_the_shell_offers_files(words: tuple[str, ...]) -> None:
    assert completion.offers(words) == [OFFER_FILES]


def test_where_a_form_is_wanted_no_files_are_offered() -> None:
    assert values("status", "x", "-o", "") == ["text", "json", "yaml"]


def test_phases_are_those_of_the_rollout_that_is_named() -> None:
    assert values("approve", "listings", "f") == ["full"]
    assert values("skip", "none", "") == []


def test_contexts_are_those_of_the_kubeconfig(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[list[str]] = []

    def run(line: list[str], **_: Any) -> Any:
        lines.append(line)
        return subprocess.CompletedProcess(line, 0, stdout="one\ntwo\n")

    monkeypatch.setattr(subprocess, "run", run)
    assert values("status", "--context", "t") == ["two"]
    assert lines[0][1:] == ["config", "get-contexts", "-o", "name"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_a_script_for_the_program_by_its_own_name(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert "kubectl-syncrollout" in script
    assert completion.VARIABLE in script
