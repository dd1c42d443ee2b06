"""A SyncRollout read from a file, offline: what is wrong in it is said with file, line and field."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import yaml
from pydantic import ValidationError

from syncrollout.api.spec import Criterion, Limit, SyncRolloutSpec, Trigger
from syncrollout.api.words import API_VERSION, KIND, Role
from syncrollout.decide import criteria
from syncrollout.decide.criteria import Question
from syncrollout.positions import Lines, Loader, Path, dotted

MOST_SHOWN: Final = 5
"""Mistakes told at once."""


class ManifestError(Exception):
    """The file holds no SyncRollout that can be carried out. The message says where and why."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """The rollout of a file; `namespace` is empty where the file names none."""

    name: str
    namespace: str
    spec: SyncRolloutSpec


def load(text: str, file: str) -> Manifest:
    """The one SyncRollout in a stream of YAML documents, with something to judge by. Raises ManifestError."""
    manifest, lines = _only(text, file)
    _check(manifest.spec, lines)
    return manifest


def read(text: str, file: str) -> Manifest:
    """The one SyncRollout in a stream of YAML documents, as the models have it. Raises ManifestError."""
    return _only(text, file)[0]


def _only(text: str, file: str) -> tuple[Manifest, Lines]:
    try:
        nodes = list(yaml.compose_all(text, Loader=Loader))
        documents = list(yaml.load_all(text, Loader=Loader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{file}:{mark.line + 1}" if mark is not None else file
        msg = f"{where}: no YAML: {getattr(error, 'problem', None) or error}"
        raise ManifestError(msg) from error
    found = [
        (node, each)
        for node, each in zip(nodes, documents, strict=True)
        if isinstance(each, dict) and each.get("kind") == KIND
    ]
    if len(found) != 1:
        holds = f"{len(found)} of them" if found else "none"
        raise ManifestError(f"{file}: one {KIND} is wanted, and the file holds {holds}")
    node, document = found[0]
    lines = Lines(file, node)
    return _manifest(document, lines), lines


def _manifest(document: dict[str, Any], lines: Lines) -> Manifest:
    if document.get("apiVersion") != API_VERSION:
        said = document.get("apiVersion")
        raise ManifestError(f"{lines.of(('apiVersion',))}: apiVersion is {said!r} and has to be {API_VERSION}")
    try:
        spec = SyncRolloutSpec.model_validate(document.get("spec"))
    except ValidationError as error:
        # a list with a mistake inside is also said to be too short
        inner = {each["loc"][:depth] for each in error.errors() for depth in range(len(each["loc"]))}
        mistakes = [_mistake(each["loc"], each["msg"], lines) for each in error.errors() if each["loc"] not in inner]
        more = [f"... and {len(mistakes) - MOST_SHOWN} more"] if len(mistakes) > MOST_SHOWN else []
        raise ManifestError("\n".join(mistakes[:MOST_SHOWN] + more)) from error
    metadata = document.get("metadata")
    named = metadata if isinstance(metadata, dict) else {}
    return Manifest(str(named.get("name", "")), str(named.get("namespace") or ""), spec)


def _mistake(loc: Sequence[str | int], said: str, lines: Lines) -> str:
    path = ("spec", *loc)
    return f"{lines.of(path)}: {dotted(path)}: {said.removeprefix('Value error, ')}"


def _check(spec: SyncRolloutSpec, lines: Lines) -> None:
    """What the API server checks of criteria, and a backtest cannot do without."""
    if spec.prometheus is None:
        raise ManifestError(f"{lines.of(('spec',))}: spec.prometheus is missing, so there is nothing to judge by")
    groups: list[tuple[Path, Role, Sequence[Limit]]] = [
        (("spec", "rollback", "triggers"), Role.TRIGGER, spec.rollback.triggers)
    ]
    for number, phase in enumerate(spec.phases):
        path: Path = ("spec", "phases", number)
        groups.append(((*path, "success"), Role.SUCCESS, phase.success))
        groups.append(((*path, "rollbackOn"), Role.ROLLBACK_ON, phase.rollback_on))
    if not any(several for _, _, several in groups):
        where = lines.of(("spec", "phases"))
        raise ManifestError(f"{where}: no phase has a criterion and there is no trigger, so there is nothing to test")
    for within, role, several in groups:
        for place, limit in enumerate(several):
            if _unrecorded(limit):
                continue  # not judged
            wrong = _wrong(spec, role, limit)
            if wrong:
                at = (*within, place)
                raise ManifestError(f"{lines.of(at)}: {dotted(at)}: {wrong}")


def _unrecorded(limit: Limit) -> bool:
    """Whether it goes by something that Prometheus has not recorded: pods, what people reported, or Jobs."""
    if isinstance(limit, Trigger) and limit.pods is not None:
        return True
    return isinstance(limit, Criterion | Trigger) and (limit.reports is not None or limit.job is not None)


def _wrong(spec: SyncRolloutSpec, role: Role, limit: Limit) -> str:
    """What is wrong with a criterion, in words."""
    try:
        metric = spec.metric(limit.source)
    except KeyError:
        return f"names metric {limit.source}, which is not in spec.metrics; add the metric or correct the name"
    if metric.query is None and metric.ratio is None:
        return f"metric {metric.name} has neither query nor ratio; give it one of them"
    try:
        criteria.describe(Question("", role, limit, metric))
    except ValueError as error:
        return str(error)
    return ""


__all__ = ["Manifest", "ManifestError", "load", "read"]
