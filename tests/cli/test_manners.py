"""What holds of every command of the plugin, whoever adds the next one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer

from syncrollout.cli.plugin import app, main

COMMANDS: dict[str, Any] = dict(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
PAGE = Path("docs/kubectl.md").read_text("utf-8")
TABLE = re.findall(
    r"^\| `([a-z-]+)[^`]*` \| (.+) \| ([^|]+) \|$", PAGE.partition("\n## ")[0].replace("\\|", "/"), flags=re.MULTILINE
)
RIGHTS = {name: rights for name, _, rights in TABLE}
OF_THE_CLUSTER = {"migrate-storage"}
"""It is about all namespaces, and says nothing in any object."""
CHANGING = sorted(name for name, rights in RIGHTS.items() if "patch" in rights or "create" in rights)
NOT_ASKED = {"report"}
"""Nobody is asked before a problem is reported: it may be urgent, and is answered if it was none."""


def options(name: str) -> set[str]:
    return {option for parameter in COMMANDS[name].params for option in parameter.opts}


def test_every_command_has_a_row_in_the_documentation_and_no_row_is_of_none() -> None:
    assert set(RIGHTS) == set(COMMANDS)


@pytest.mark.parametrize("name", CHANGING)
def test_who_changes_something_takes_a_message_and_can_be_tried_first(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = set() if name in OF_THE_CLUSTER else {"--message", "--wait"}
    assert {"--dry-run"} | words <= options(name)
    assert main([name, "--dry-run", "perhaps"]) == 1
    assert "'none', 'client', 'server'" in capsys.readouterr().err


@pytest.mark.parametrize("name", sorted(set(CHANGING) - NOT_ASKED))
def test_who_may_ask_first_can_be_told_not_to(name: str) -> None:
    assert {"--yes", "-y"} <= options(name)


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - set(CHANGING)))
def test_who_changes_nothing_does_not_look_as_if_it_did(name: str) -> None:
    assert not {"--dry-run", "--message"} & options(name)


@pytest.mark.parametrize("name", [name for name, rights in RIGHTS.items() if rights != "none"])
def test_who_asks_the_cluster_takes_the_options_of_kubectl(name: str) -> None:
    one = set() if name in OF_THE_CLUSTER else {"-n", "--namespace"}
    assert {"--context", "--kubeconfig"} | one <= options(name)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_says_what_it_is_for_and_each_of_its_options_too(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([name, "--help"]) == 0
    assert f"kubectl syncrollout {name}" in capsys.readouterr().out
    assert COMMANDS[name].help
    wordless = [each.name for each in COMMANDS[name].params if each.name != "help" and not each.help]
    assert wordless == []


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_wrong_use_is_1_for_2_and_3_are_answers(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--no-such-option"]) == 1
    assert "--no-such-option" in capsys.readouterr().err


def test_the_codes_that_are_answers_are_documented_in_one_table() -> None:
    [codes] = re.findall(r"^## How commands end\n\n(.+?)\n\n", PAGE, flags=re.MULTILINE | re.DOTALL)
    for name in CHANGING:
        assert f"`{name}`" in codes
    said = {name for name in COMMANDS if re.search(r"\b2:|; 2;|code 2\b", COMMANDS[name].help or "")}
    assert said, "the help of some commands says what 2 means"
    assert {name for name in said if f"`{name}" not in codes} == set()
    assert PAGE.count("| exit code |") == 0
