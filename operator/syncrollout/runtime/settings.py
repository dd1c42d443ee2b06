"""The operator's settings: a flag and an environment variable for each, a flag before the variable.

The docstring of a field is its help on the command line and its row in `docs/settings.md`, which is written by
`python -m syncrollout.runtime.settings --markdown --write`.
"""

from __future__ import annotations

import argparse
import difflib
import ipaddress
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, CliApp, CliSettingsSource, NoDecode, SettingsConfigDict

from syncrollout.api.fields import format_duration, parse_duration
from syncrollout.net.destinations import Entry
from syncrollout.pages import add_choice, carry_out
from syncrollout.runtime.partitions import MOST

ENV_PREFIX = "SYNCROLLOUT_"
PAGE = Path("docs/settings.md")
_ONE_OF_SEVERAL = {
    "namespaces": "namespace",
    "allow_destinations": "allow-destination",
    "refuse_destinations": "refuse-destination",
    "ui_hosts": "ui-host",
}
"""Flags that are given once for each of several names."""
_NAMESPACE = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"


def is_loopback(address: str) -> bool:
    """Whether nobody but this machine (or this pod, and who may forward its ports) can reach the address."""
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


class SettingsError(Exception):
    """A setting is wrong; the message is one sentence that names the flag or variable it came by."""


def _split(value: object) -> object:
    """Comma-separated names, given once or several times."""
    parts = [value] if isinstance(value, str) else value
    if not isinstance(parts, list | tuple):
        return value
    return tuple(dict.fromkeys(name.strip() for part in parts for name in str(part).split(",") if name.strip()))


def _seconds(value: object) -> object:
    """Seconds of `90s`, `10m` or such, or of a plain number of seconds."""
    if not isinstance(value, str):
        return value
    try:
        return float(value)
    except ValueError:
        return parse_duration(value)


def _destination(value: str) -> str:
    Entry.of(value)
    return value


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


HostName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9.:-]+$", max_length=253)]
Namespace = Annotated[str, Field(pattern=_NAMESPACE, max_length=63)]
Destination = Annotated[str, AfterValidator(_destination), Field(max_length=253)]
Seconds = Annotated[float, BeforeValidator(_seconds), Field(gt=0, le=86400, allow_inf_nan=False)]
LongTime = Annotated[float, BeforeValidator(_seconds), Field(ge=60, le=366 * 86400, allow_inf_nan=False)]


class Settings(BaseSettings):
    """Everything that can be set from outside."""

    # A Service called syncrollout makes the kubelet set SYNCROLLOUT_PORT, SYNCROLLOUT_SERVICE_HOST and the like in
    # every pod of its namespace: no field may be named so that it would be read from one of those.
    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_ignore_empty=True,  # templates write empty variables for what is not given
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        validate_default=True,
    )

    namespaces: Annotated[tuple[Namespace, ...], NoDecode, BeforeValidator(_split)] = ()
    """Namespaces to look after, separated by commas or given several times; none means all."""
    concurrency: Annotated[int, Field(ge=1, le=4096)] = 512
    """How many rollouts are worked on at once. Most of it is waiting: one Prometheus that hangs must not fill it."""

    prometheus_concurrency: Annotated[int, Field(ge=1, le=64)] = 16
    """How many queries of one Prometheus are under way at once; those that wait take turns, rollout after rollout."""

    require_service_account: bool = False
    """Do nothing for a rollout that names no ServiceAccount in spec.serviceAccountName. See docs/security.md."""

    probe_host: Annotated[str, Field(pattern=r"^[a-zA-Z0-9{}.-]+$", max_length=253)] = "{service}.{namespace}.svc"
    """How the host of a Service is called that verifySystem probes; {service} and {namespace} are filled in."""

    listen_address: Annotated[str, Field(min_length=1)] = "0.0.0.0"  # noqa: S104 - probes and scrapes come from outside
    """Address that /livez, /readyz and /metrics are served on."""
    listen_port: Annotated[int, Field(ge=0, le=65535)] = 8080
    """Port that /livez, /readyz and /metrics are served on; 0 takes any free one."""

    tls_cert_file: Annotated[str, Field(min_length=1)] | None = None
    """File with the certificate (PEM) that metrics, alerts and the page are served with; read anew when it changes."""
    tls_key_file: Annotated[str, Field(min_length=1)] | None = None
    """File with its key."""
    metrics_review: bool = False
    """Give /metrics to whom the API server knows by his token and who may get that path, and to nobody else."""
    review_keep: Seconds = 60.0
    """How long counts what the API server has said of a token or of a right."""

    keep_jobs: LongTime = 7 * 86400.0
    """How long Jobs that rollouts have run stay after they have ended (1m to a year); never less than their budget."""

    alertmanager_listen_port: Annotated[int, Field(ge=0, le=65535)] | None = None
    """Port on which Alertmanager's webhook is taken in, at /alertmanager; 0 takes any free one. See docs/alerts.md."""
    alertmanager_token_file: Annotated[str, Field(min_length=1)] | None = None
    """File with the bearer token that Alertmanager presents; it may change while the operator runs."""
    alertmanager_review: bool = False
    """Let in whom the API server knows by his token and who may create syncrollouts/alerts, namespace by namespace."""
    alertmanager_client_ca_file: Annotated[str, Field(min_length=1)] | None = None
    """File with the authority by which Alertmanager has to show a certificate of its own; needs tls-cert-file."""
    alertmanager_keep: Seconds = 300.0
    """How long a pushed alert counts unless Alertmanager repeats or resolves it; then Prometheus is believed again."""

    allow_destinations: Annotated[tuple[Destination, ...], NoDecode, BeforeValidator(_split)] = ()
    """Hosts and networks that rollouts may have called: *.example.com, 10.0.0.0/8. See docs/destinations.md."""
    refuse_destinations: Annotated[tuple[Destination, ...], NoDecode, BeforeValidator(_split)] = ()
    """Hosts and networks that are never called for a rollout, whatever else allows them."""
    tls_only: bool = False
    """Call nothing in the clear for a rollout: Prometheus, Alertmanager, probes and messages by TLS alone."""

    ui: bool = False
    """Serve a web page that shows all rollouts, read-only. See docs/ui.md."""
    ui_listen_address: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    """Address that the page is served on; the default is reached through `kubectl port-forward` alone."""
    ui_listen_port: Annotated[int, Field(ge=0, le=65535)] = 8082
    """Port that the page is served on; 0 takes any free one."""
    ui_token_file: Annotated[str, Field(min_length=1)] | None = None
    """File with the bearer token that viewers present; it may change while the operator runs."""
    ui_review: bool = False
    """Let in whom the API server knows by his token, and show the rollouts that he may list or get there."""
    ui_open: bool = False
    """Let everybody who reaches the page look, without a token: for where something in front of it asks who it is."""
    ui_hosts: Annotated[tuple[HostName, ...], NoDecode, BeforeValidator(_split)] = ()
    """Names by which the page may be called, separated by commas; none means any, without a token localhost alone."""

    log_format: Annotated[Literal["text", "json"], BeforeValidator(_lower)] = "text"
    """How log lines are written: text for people, json for machines (one object a line)."""
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower)] = "info"
    """The least severe lines that are written."""

    leader_election: bool = True
    """Let one of several operators act, by a Lease. Without it there must never be two."""
    partitions: Annotated[int, Field(ge=1, le=MOST)] = 1
    """Into how many parts the rollouts are divided among replicas that all act; 1: one acts. See docs/scale-out.md."""
    lease_name: Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=253)] = "syncrollout"
    """Name of the Lease."""
    lease_namespace: Namespace | None = None
    """Namespace of the Lease; the operator's own where it is not given."""
    lease_duration: Seconds = 15.0
    """How long a Lease that is not renewed is respected by the other operators."""
    lease_renew_interval: Seconds = 5.0
    """How often the leader renews the Lease."""
    lease_renew_deadline: Seconds = 10.0
    """How long after its last renewal the leader stops writing; must be less than the Lease's duration."""

    request_timeout: Seconds = 5.0
    """How long one request to the API server may take, waiting for a turn included."""
    late_effect: Seconds = 5.0
    """How long after it was given up a request to the API server may still take effect; no run ends before."""
    watch_timeout: Seconds = 290.0
    """How long one watch lasts before it is begun anew, so that one that has fallen silent ends."""
    relist_interval: Seconds = 300.0
    """How often everything is listed and compared with what the watches said."""
    shutdown_grace: Annotated[Seconds, Field(ge=1)] = 4.0
    """How long passes that have begun may go on after SIGTERM."""

    @model_validator(mode="after")
    def _alerts_are_authenticated(self) -> Self:
        known_by = self.alertmanager_token_file or self.alertmanager_review or self.alertmanager_client_ca_file
        if (self.alertmanager_listen_port is None) != (not known_by):
            msg = (
                "alertmanager-listen-port goes with alertmanager-token-file, alertmanager-review or "
                "alertmanager-client-ca-file: nobody may push whom nothing is known of"
            )
            raise ValueError(msg)
        if self.alertmanager_client_ca_file is not None and self.tls_cert_file is None:
            msg = "alertmanager-client-ca-file needs tls-cert-file and tls-key-file: only TLS shows certificates"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _certificate_has_its_key(self) -> Self:
        if (self.tls_cert_file is None) != (self.tls_key_file is None):
            msg = "tls-cert-file and tls-key-file go together: a certificate needs its key"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _viewers_are_known(self) -> Self:
        asked = self.ui_token_file is not None or self.ui_review
        if self.ui and not asked and not self.ui_open and not is_loopback(self.ui_listen_address):
            msg = (
                f"ui-listen-address {self.ui_listen_address} can be reached from outside: give ui-token-file or "
                "ui-review, or ui-open where something in front of it asks who looks"
            )
            raise ValueError(msg)
        if self.ui_open and asked:
            other = "ui-token-file" if self.ui_token_file is not None else "ui-review"
            msg = f"ui-open and {other} contradict each other: who looks needs a token, or does not"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _partitions_are_held(self) -> Self:
        if self.partitions > 1 and not self.leader_election:
            raise ValueError("partitions are held by Leases: leave leader-election on, or have one partition")
        return self

    @model_validator(mode="after")
    def _lease_is_safe(self) -> Self:
        if not self.lease_renew_interval < self.lease_renew_deadline < self.lease_duration:
            msg = (
                "lease-renew-interval must be less than lease-renew-deadline, and that less than lease-duration, "
                "or two operators could lead at once"
            )
            raise ValueError(msg)
        if self.leader_election and self.request_timeout > self.lease_duration - self.lease_renew_deadline:
            msg = (
                "request-timeout must not be more than lease-duration less lease-renew-deadline, "
                "or a write could still land while another operator leads"
            )
            raise ValueError(msg)
        return self


def variable(field: str) -> str:
    """The environment variable of a setting."""
    return f"{ENV_PREFIX}{field.upper()}"


def flag(field: str) -> str:
    """The flag of a setting; the one that takes several names is given once for each."""
    return "--" + _ONE_OF_SEVERAL.get(field, field.replace("_", "-"))


class SettingsParser:
    """Reads settings from flags, added to a parser of argparse, and from the environment."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self._source: CliSettingsSource[argparse.ArgumentParser] = CliSettingsSource(
            Settings,
            root_parser=parser,
            add_argument_method=_add_argument,
            cli_kebab_case=True,
            cli_implicit_flags=True,
            cli_avoid_json=True,
            cli_hide_none_type=True,
            cli_shortcuts=_ONE_OF_SEVERAL,
        )

    def read(self, arguments: argparse.Namespace) -> Settings:
        """The settings. Raises SettingsError, with one sentence for everything that is wrong."""
        try:
            return CliApp.run(Settings, cli_args=arguments, cli_settings_source=self._source)
        except ValidationError as error:
            raise SettingsError("; ".join(_sentence(each, arguments) for each in error.errors())) from error


def _sentence(error: ErrorDetails, arguments: argparse.Namespace) -> str:
    message = error["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if not error["loc"]:
        return message  # about several settings, which it names
    field = str(error["loc"][0])
    given_by = flag(field) if hasattr(arguments, field) else variable(field)
    if error["type"] == "string_pattern_mismatch":
        message = "should be lower-case letters, digits and '-'"
    return f"{given_by} {message}, not {error['input']!r}" if message.startswith("should") else f"{given_by}: {message}"


def misspelt(environment: Mapping[str, str]) -> list[str]:
    """A sentence for each variable that looks like a setting's but is none."""
    known = {variable(field): field for field in Settings.model_fields}
    found = []
    for name in sorted(environment):
        if name.startswith(ENV_PREFIX) and name not in known:
            close = difflib.get_close_matches(name, known, n=1, cutoff=0.9)
            found += [f"the variable {name} means nothing; did you mean {each}?" for each in close]
    return found


def _add_argument(parser: argparse.ArgumentParser, *flags: str, **options: Any) -> argparse.Action:
    """argparse's `add_argument`, with what the library says of types and defaults put into people's words."""
    field = options.get("dest", "")
    if field in Settings.model_fields:
        if options.get("metavar", "") and not options["metavar"].startswith("{"):
            options["metavar"] = _metavar(field)
        text = (Settings.model_fields[field].description or "").replace("%", "%%")
        options["help"] = f"{text} [{variable(field)}, default {_default(field)}]"
        if field in _ONE_OF_SEVERAL:
            flags = (flag(field), "--" + field.replace("_", "-"))
    return parser.add_argument(*flags, **options)


def _metavar(field: str) -> str:
    kind = Settings.model_fields[field].annotation
    if kind is float:
        return "DURATION"
    if kind is int:
        return "NUMBER"
    return "ADDRESS" if field.endswith("listen_address") else "NAME"


def _default(field: str) -> str:
    default = Settings.model_fields[field].default
    if isinstance(default, bool):
        return "yes" if default else "no"
    if isinstance(default, float):
        return format_duration(default)
    words = {
        "namespaces": "all",
        "allow_destinations": "all but this host, link-local addresses and the API server",
        "refuse_destinations": "none",
        "ui_hosts": "any",
        "lease_namespace": "its own",
        "alertmanager_listen_port": "off",
    }
    return words.get(field, "none" if default is None else str(default))


def markdown() -> str:
    """`docs/settings.md`."""
    lines = [
        "# Settings of the operator",
        "",
        "Made from `operator/syncrollout/runtime/settings.py` by `make generate`.",
        "",
        "`syncrollout run` takes each setting as a flag or from the environment; a flag goes before the variable.",
        "Durations are written with units (`90s`, `10m`, `7d`) or as a plain number of seconds (`2.5`).",
        "",
        "| flag | variable | default | what it does |",
        "|---|---|---|---|",
    ]
    for field, info in Settings.model_fields.items():
        name = f"{flag(field)}`, `--no-{flag(field)[2:]}" if info.annotation is bool else flag(field)
        text = " ".join((info.description or "").split())
        lines.append(f"| `{name}` | `{variable(field)}` | {_default(field)} | {text} |")
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write docs/settings.md, or compare it with what it should be. Run it at the root of the repository."""
    parser = argparse.ArgumentParser(prog="python -m syncrollout.runtime.settings", description=main.__doc__)
    parser.add_argument("--markdown", action="store_true", required=True, help="as Markdown; on its own: to stdout")
    add_choice(parser, PAGE)
    return carry_out(parser.parse_args(arguments), PAGE, markdown(), source="the settings say")


if __name__ == "__main__":
    sys.exit(main())
