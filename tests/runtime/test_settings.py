"""Settings: by flag, by environment, and what is said of wrong ones."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from syncrollout.runtime import settings as module
from syncrollout.runtime.settings import Settings, SettingsError, SettingsParser, flag, markdown, misspelt, variable

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _no_settings_around(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in Settings.model_fields:
        monkeypatch.delenv(variable(field), raising=False)


def read(*arguments: str) -> Settings:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    settings = SettingsParser(parser)
    return settings.read(parser.parse_args(arguments))


def test_everything_has_a_default() -> None:
    settings = read()
    assert settings.namespaces == ()
    assert (settings.listen_address, settings.listen_port) == ("0.0.0.0", 8080)  # noqa: S104 - as documented
    assert settings.leader_election is True
    assert settings.shutdown_grace == 4.0


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--namespace", "a"], ("a",)),
        (["--namespace", "a", "--namespace", "b"], ("a", "b")),
        (["--namespace", "a,b", "--namespaces=c", "--namespace", "a"], ("a", "b", "c")),
    ],
)
def test_namespaces_are_given_once_for_each_or_separated_by_commas(
    arguments: list[str], expected: tuple[str, ...]
) -> None:
    assert read(*arguments).namespaces == expected


@pytest.mark.parametrize("text", ["a,b", " a , b ", "a,,b,"])
def test_namespaces_from_the_environment(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("SYNCROLLOUT_NAMESPACES", text)
    assert read().namespaces == ("a", "b")


def test_a_flag_goes_before_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNCROLLOUT_NAMESPACES", "a,b")
    monkeypatch.setenv("SYNCROLLOUT_LISTEN_PORT", "1")
    monkeypatch.setenv("SYNCROLLOUT_LEADER_ELECTION", "false")
    monkeypatch.setenv("SYNCROLLOUT_LOG_FORMAT", "JSON")
    settings = read("--namespace", "c", "--leader-election")
    assert settings.namespaces == ("c",)
    assert settings.leader_election is True
    assert (settings.listen_port, settings.log_format) == (1, "json")
    assert read("--no-leader-election").leader_election is False


def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in Settings.model_fields:
        monkeypatch.setenv(variable(field), "")
    assert read() == Settings.model_construct()


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90.0), ("10m", 600.0), ("2.5", 2.5), ("1h30m", 5400.0)])
def test_durations_have_units_or_are_seconds(text: str, seconds: float) -> None:
    assert read("--relist-interval", text).relist_interval == seconds


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--listen-port", "99999"], "--listen-port should be less than or equal to 65535, not '99999'"),
        (["--listen-port", "http"], "--listen-port should be a valid integer, unable to parse string as an integer"),
        (["--log-level", "loud"], "--log-level should be 'debug', 'info', 'warning' or 'error', not 'loud'"),
        (["--namespace", "a", "--namespace", "My_Ns"], "--namespace should be lower-case letters, digits and '-'"),
        (["--watch-timeout", "soon"], "--watch-timeout: 'soon' is not a duration: write whole numbers with units"),
        (["--watch-timeout", "0"], "--watch-timeout should be greater than 0, not '0'"),
        (["--watch-timeout", "inf"], "--watch-timeout should be"),
        (["--watch-timeout", "nan"], "--watch-timeout should be"),
        (["--lease-duration", "8s"], "lease-renew-deadline, and that less than lease-duration, or two operators could"),
        (["--request-timeout", "6s"], "request-timeout must not be more than lease-duration less lease-renew-deadline"),
    ],
)
def test_a_wrong_flag_is_named_with_what_it_should_be(arguments: list[str], sentence: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(*arguments)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_wrong_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNCROLLOUT_CONCURRENCY", "0")
    with pytest.raises(SettingsError, match=r"^SYNCROLLOUT_CONCURRENCY should be greater than or equal to 1, not '0'$"):
        read()


def test_without_leader_election_requests_may_take_as_long_as_one_likes() -> None:
    assert read("--no-leader-election", "--request-timeout", "30s").request_timeout == 30.0


def test_a_misspelt_variable_is_told_of() -> None:
    around = {"SYNCROLLOUT_LOG_LEVLE": "debug", "SYNCROLLOUT_CACHE": "x", "SYNCROLLOUT_LOG_LEVEL": "info", "PATH": "x"}
    assert misspelt(around) == ["the variable SYNCROLLOUT_LOG_LEVLE means nothing; did you mean SYNCROLLOUT_LOG_LEVEL?"]


def test_what_the_kubelet_sets_for_a_service_of_our_name_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    links = {
        "SYNCROLLOUT_SERVICE_HOST": "10.0.0.1",
        "SYNCROLLOUT_SERVICE_PORT": "8080",
        "SYNCROLLOUT_SERVICE_PORT_METRICS": "8080",
        "SYNCROLLOUT_PORT": "tcp://10.0.0.1:8080",
        "SYNCROLLOUT_PORT_8080_TCP": "tcp://10.0.0.1:8080",
        "SYNCROLLOUT_PORT_8080_TCP_PROTO": "tcp",
        "SYNCROLLOUT_PORT_8080_TCP_PORT": "8080",
        "SYNCROLLOUT_PORT_8080_TCP_ADDR": "10.0.0.1",
    }
    plain = read()
    for name, value in links.items():
        monkeypatch.setenv(name, value)
    assert read() == plain
    assert misspelt(links) == []


def test_the_help_says_of_every_setting_what_it_does_its_variable_and_its_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    parser = argparse.ArgumentParser()
    SettingsParser(parser)
    text = " ".join(parser.format_help().split())
    for field, info in Settings.model_fields.items():
        assert info.description, field
        assert flag(field) in text
        assert f"{info.description} [{variable(field)}, default " in text
    assert "--namespace NAME" in text
    assert "--lease-duration DURATION" in text
    assert "default 15s]" in text


def test_the_page_of_settings_is_what_the_settings_say() -> None:
    assert (ROOT / "docs" / "settings.md").read_text("utf-8") == markdown(), "run: make generate"


def test_the_page_is_checked_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert module.main(["--markdown", "--check"]) == 1
    assert capsys.readouterr().err == "docs/settings.md is not what the settings say; run: make generate\n"
    assert module.main(["--markdown", "--write"]) == 0
    assert module.main(["--markdown", "--check"]) == 0
    assert module.main(["--markdown"]) == 0
    assert capsys.readouterr().out == markdown()


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "10.0.0.7", "operator.example"])  # noqa: S104 - what is refused
def test_a_page_that_others_can_reach_needs_a_token_or_an_explicit_word(address: str) -> None:
    given = ("--ui", f"--ui-listen-address={address}")
    with pytest.raises(SettingsError, match="can be reached from outside: give ui-token-file or ui-review, or ui-open"):
        read(*given)
    assert read(*given, "--ui-token-file=/token").ui
    assert read(*given, "--ui-open", "--ui-host=rollouts.example").ui_hosts == ("rollouts.example",)
    with pytest.raises(SettingsError, match="contradict each other"):
        read(*given, "--ui-open", "--ui-token-file=/token")


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "localhost", "127.9.9.9"])
def test_a_page_of_this_machine_alone_needs_none(address: str) -> None:
    assert not read().ui
    settings = read("--ui", f"--ui-listen-address={address}", "--ui-listen-port=0")
    assert (settings.ui, settings.ui_listen_port) == (True, 0)


@pytest.mark.parametrize(
    "given", [["--alertmanager-listen-port=8081"], ["--alertmanager-token-file=/token"], ["--alertmanager-review"]]
)
def test_alerts_are_not_taken_in_without_a_token(given: list[str]) -> None:
    with pytest.raises(SettingsError, match="alertmanager-listen-port goes with alertmanager-token-file"):
        read(*given)


def test_alerts_are_taken_in_with_port_and_token() -> None:
    assert read().alertmanager_listen_port is None
    settings = read("--alertmanager-listen-port=8081", "--alertmanager-token-file=/token", "--alertmanager-keep=2m")
    assert (settings.alertmanager_listen_port, settings.alertmanager_token_file) == (8081, "/token")
    assert settings.alertmanager_keep == 120


def test_alerts_are_taken_in_from_accounts_or_clients_with_a_certificate() -> None:
    assert read("--alertmanager-listen-port=8081", "--alertmanager-review").alertmanager_review
    known = ("--alertmanager-listen-port=8081", "--alertmanager-client-ca-file=/ca")
    with pytest.raises(SettingsError, match="needs tls-cert-file"):
        read(*known)
    assert read(*known, "--tls-cert-file=/cert", "--tls-key-file=/key").alertmanager_client_ca_file == "/ca"
    with pytest.raises(SettingsError, match="a certificate needs its key"):
        read("--tls-cert-file=/cert")


def test_a_page_by_review_is_for_others_and_never_open() -> None:
    outside = ("--ui", "--ui-listen-address=0.0.0.0", "--ui-review")
    assert read(*outside).ui_review
    with pytest.raises(SettingsError, match="ui-open and ui-review contradict"):
        read(*outside, "--ui-open")


@pytest.mark.parametrize("given", ["--allow-destination=http://x", "--refuse-destination=10.0.0.0/99"])
def test_a_destination_is_a_host_or_a_network(given: str) -> None:
    with pytest.raises(SettingsError, match=r"^--[a-z]+-destination: .* is neither a host"):
        read(given)
    assert read("--allow-destination=*.example.com,10.0.0.0/8").allow_destinations == ("*.example.com", "10.0.0.0/8")
