"""The command line, as a person or a pod uses it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from syncrollout import __version__
from syncrollout.cli.main import main
from syncrollout.runtime import compose
from syncrollout.runtime.settings import Settings


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """The settings that the operator was started with."""
    started: list[Settings] = []

    def run(settings: Settings) -> int:
        started.append(settings)
        return 7

    monkeypatch.setattr(compose, "run", run)
    return started


def test_run_starts_the_operator_with_its_settings_and_ends_with_its_code(runs: list[Settings]) -> None:
    assert main(["run", "--namespace", "a", "--namespace", "b", "--listen-port", "0"]) == 7
    assert [(settings.namespaces, settings.listen_port) for settings in runs] == [(("a", "b"), 0)]


def test_a_misspelt_variable_is_told_of_and_does_not_stop_the_operator(
    runs: list[Settings], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SYNCROLLOUT_NAMESPACE", "a")
    assert main(["run"]) == 7
    assert "SYNCROLLOUT_NAMESPACE means nothing; did you mean SYNCROLLOUT_NAMESPACES?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "syncrollout: the following arguments are required: COMMAND; see syncrollout --help"),
        (["run", "--listen-prt", "3"], "--listen-prt is not known (did you mean --listen-port?)"),
        (["run", "--log-lev", "info"], "--log-lev is not known (did you mean --log-level?)"),
        (["run", "--listen-port"], "argument --listen-port: expected one argument"),
        (["run", "--listen-port", "x"], "syncrollout run: --listen-port should be a valid integer"),
        (["run", "now"], "syncrollout run: now is not known; see syncrollout run --help"),
        (["version", "--all"], "syncrollout: --all is not known"),
        (["walk"], "invalid choice: 'walk' (choose from"),
    ],
)
def test_wrong_use_ends_with_code_2_and_one_sentence(
    arguments: list[str], sentence: str, runs: list[Settings], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert sentence in said.err
    assert said.err.count("\n") == 1
    assert runs == []


def test_version_names_what_matters_in_a_report(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version"]) == 0
    assert capsys.readouterr().out.startswith(f"syncrollout {__version__} (Python 3.")


def test_it_runs_as_a_module_and_asking_the_version_loads_no_kopf() -> None:
    program = (
        "import runpy, sys; sys.argv = ['syncrollout', 'version']\n"
        "try: runpy.run_module('syncrollout', run_name='__main__')\n"
        "except SystemExit as end: assert end.code == 0\n"
        "assert 'kopf' not in sys.modules and 'kubernetes' not in sys.modules"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("syncrollout ")
