"""The kubectl plugin, as far as it needs no Prometheus (`tests/backtest` has one)."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from backtest.plan import ROLLOUT
from syncrollout import __version__
from syncrollout.cli.plugin import app, main


def _fails(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What it says on stderr. The code is 1: 2 and 3 are answers."""
    assert main(arguments) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    return printed.err


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The rollout of the backtest's own tests."""
    written = tmp_path / "rollout.yaml"
    written.write_text(ROLLOUT)
    return written


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version"]) == 0
    assert capsys.readouterr().out == f"kubectl-syncrollout {__version__}\n"


def test_help_names_the_commands_as_kubectl_does(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["backtest", "--help"]) == 0
    assert "kubectl syncrollout backtest" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["walk"], "No such command 'walk'"),
        (["backtest"], "Missing option"),
        (["backtest", "--from", "7d", "-f", "absent.yaml"], "absent.yaml cannot be read: "),
        (["backtest", "--from", "7d", "-f", "ROLLOUT", "-o", "xml"], "-o"),
        (["backtest", "--from", "soon", "-f", "ROLLOUT"], "--from: 'soon' is neither a time, such as 2026-"),
        (["backtest", "--from", "2025-03-03T09:00:00", "-f", "ROLLOUT"], "has no time zone: add Z for UTC"),
        (["backtest", "--from", "1d", "--to", "2d", "-f", "ROLLOUT"], "has to be before --to"),
        (["backtest", "--from", "1d", "--to", "2999-01-01T00:00:00Z", "-f", "ROLLOUT"], "has not come yet"),
        (["backtest", "--from", "52w", "--step", "1s", "-f", "ROLLOUT"], "are too many: give a longer --step"),
        (["backtest", "--from", "1d", "--step", "0s", "-f", "ROLLOUT"], "--step: give more than 0 seconds"),
        (["backtest", "--from", "1d", "--step", "fast", "-f", "ROLLOUT"], "--step: 'fast' is not a duration"),
        (["backtest", "--from", "1d", "--token-file", "absent", "-f", "ROLLOUT"], "--token-file: absent cannot be"),
        (
            ["backtest", "--from", "1d", "--token-file", "a", "--login-file", "b", "-f", "ROLLOUT"],
            "give either --token",
        ),
        (["backtest", "--from", "1d", "--prometheus", "prometheus", "-f", "ROLLOUT"], "prometheus is no address"),
        (["backtest", "--from", "1d", "--prometheus", "http://127.0.0.1:1", "-f", "ROLLOUT"], "connection refused"),
    ],
)
def test_wrong_use_is_said_and_is_no_answer(
    arguments: list[str], said: str, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [str(file) if each == "ROLLOUT" else each for each in arguments]
    assert said in _fails(given, capsys)


@pytest.mark.parametrize(
    ("change", "line", "said"),
    [
        (("weight: 50", "weight: fifty"), 29, "spec.phases[1].weight: Input should be a valid integer"),
        (("weight: 50", "wait: 50"), 28, "spec.phases[1].weight: Field required"),
        (("interval: 30s", "interval: 30"), 11, "spec.prometheus.interval: 30 is not a duration"),
        (("severity: Critical, metric: error-rate", "severity: Critical, metric: errors"), 38, "names metric errors"),
        (("success: [{metric: error-rate, below: 1}]", "success: [{metric: error-rate}]"), 36, "has no limit"),
        (("syncrollout.io/v1alpha1", "syncrollout.io/v1"), 1, "has to be syncrollout.io/v1alpha1"),
        (("name: small", "name: small: new"), 23, "no YAML: mapping values are not allowed here"),
    ],
)
def test_a_mistake_in_the_file_is_shown_with_its_line(
    change: tuple[str, str], line: int, said: str, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(ROLLOUT.replace(*change))
    error = _fails(["backtest", "-f", str(file), "--from", "7d"], capsys)
    (shown,) = [each for each in error.splitlines() if said in each]
    assert shown.startswith(f"{file}:{line}: "), error


def test_one_rollout_is_tested_of_a_file_that_holds_other_objects_too(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    service = "apiVersion: v1\nkind: Service\nmetadata: {name: sync-v1}\n---\n"
    arguments = ["backtest", "-f", str(file), "--from", "7d", "--prometheus", "http://127.0.0.1:1"]
    file.write_text(service + ROLLOUT)
    assert "connection refused" in _fails(arguments, capsys)
    file.write_text(service)
    assert "one SyncRollout is wanted, and the file holds none" in _fails(arguments, capsys)
    file.write_text(f"{ROLLOUT}---\n{ROLLOUT}")
    assert "the file holds 2 of them" in _fails(arguments, capsys)


def test_the_file_may_come_by_standard_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(ROLLOUT.replace("weight: 50", "weight: fifty")))
    assert _fails(["backtest", "-f", "-", "--from", "7d"], capsys).startswith("-:29: spec.phases[1].weight")


def test_without_a_criterion_there_is_nothing_to_test(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [line for line in ROLLOUT.splitlines() if "success:" not in line and "rollbackOn:" not in line]
    file.write_text("\n".join(lines[:-2]))
    assert "no phase has a criterion and there is no trigger" in _fails(
        ["backtest", "-f", str(file), "--from", "7d"], capsys
    )


def test_every_command_is_in_the_documentation() -> None:
    page = (Path(__file__).parents[2] / "docs" / "kubectl.md").read_text()
    commands = [
        command.name or command.callback.__name__.replace("_", "-")
        for command in app.registered_commands
        if command.callback
    ]
    assert len(commands) > 5
    assert [name for name in commands if f"| `{name}" not in page] == []
