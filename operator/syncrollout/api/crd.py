"""The CustomResourceDefinition, generated from the pydantic models.

``python -m syncrollout.api.crd`` writes ``crds/`` and the chart's copy; with ``--check`` it only compares them and
exits with 1 where they differ.

An API server takes structural OpenAPI only, so that the JSON schema of the models is translated: references are
inlined, ``anyOf: [X, null]`` becomes an optional X, a constant becomes an enum of one. A keyword that has no
translation is an error here rather than silently lost in the cluster.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from syncrollout.api.fields import PATTERN_MESSAGE, Model, format_duration, parse_duration, rule
from syncrollout.api.spec import SyncRolloutSpec
from syncrollout.api.status import SyncRolloutStatus
from syncrollout.api.words import GROUP, KIND, PLURAL, VERSION

Schema = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ApiVersion:
    """One version of the resource, and the models that its schema is made from. How versions follow one another is
    decided in docs/adr/api-versions.md."""

    name: str
    served: bool = True
    storage: bool = False
    """Objects are stored in it; so they are in one."""
    deprecated: str = ""
    """What whoever uses it is warned with; empty: it is not deprecated."""
    spec: type[Model] = SyncRolloutSpec
    status: type[Model] = SyncRolloutStatus


VERSIONS: Final = (ApiVersion(VERSION, storage=True),)
"""Those that the CRD has. The operator works through `words.VERSION`, and the plugin reads any."""

ROOT = Path(__file__).resolve().parents[3]
CRD_PATH = Path("crds") / f"{GROUP}_{PLURAL}.yaml"
CHART_PATH = Path("charts") / "syncrollout" / "templates" / "crd.yaml"

_KEPT = (
    "type",
    "description",
    "enum",
    "format",
    "minLength",
    "maxLength",
    "pattern",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "maxProperties",
)
_HANDLED = {
    *("title", "default", "const", "properties", "required", "items", "additionalProperties", "exclusiveMinimum"),
    *("exclusiveMaximum", "anyOf", "$ref", "$defs", PATTERN_MESSAGE),
}
_VALIDATIONS = "x-kubernetes-validations"

_HEADER = "# Generated from the models in operator/syncrollout/api by `python -m syncrollout.api.crd`; edit those.\n"

_FROZEN = ("spec.old", "spec.new")
# How traffic moves is frozen; how it is seen to have moved is not: a wrong query must not hold a run for good.
_FROZEN_OPTIONAL = (
    *(f"spec.traffic.{name}" for name in ("routes", "replicas", "shards")),
    "spec.serviceAccountName",  # its rights were looked at before the start, and a way back rests on them
)

# Status updates and changes of metadata (the finalizer) leave the spec alone, so they always satisfy this rule. They
# are held against it all the same: it asks first, and once, whether there is anything to hold against.
_IN_FLIGHT_RULE = rule(
    "!oldSelf.?status.?inFlight.orValue(false) || ("
    + " && ".join(
        [f"self.{field} == oldSelf.{field}" for field in _FROZEN]
        + [
            f"has(self.{field}) == has(oldSelf.{field}) && (!has(self.{field}) || self.{field} == oldSelf.{field})"
            for field in _FROZEN_OPTIONAL
        ]
    )
    + ")",
    "spec.old, spec.new, spec.traffic and spec.serviceAccountName cannot change while traffic is in flight; "
    "set spec.emergencyStop to true to move it back first, or wait until the run has ended",
    fieldPath=".spec",
)


class SchemaError(TypeError):
    """A model uses something that a structural schema cannot express; the message says where and what."""


def structural(model: type[Model], *, defaults: bool = True) -> Schema:
    """The structural schema of a model. Raises SchemaError where it has none.

    `defaults`: let the API server fill in the defaults; a status has none, for nobody but the operator writes it.
    """
    source = model.model_json_schema()
    return _Translator(source.get("$defs", {}), defaults=defaults).translate(source, model.__name__)


class _Translator:
    def __init__(self, definitions: Mapping[str, Schema], *, defaults: bool) -> None:
        self._definitions = definitions
        self._defaults = defaults

    def translate(self, source: Schema, where: str) -> Schema:
        source = self._inline(source, where)
        unknown = [key for key in source if key not in _KEPT and key not in _HANDLED and not key.startswith("x-")]
        if unknown:
            msg = f"{where}: {', '.join(unknown)} cannot be expressed in a structural schema"
            raise SchemaError(msg)
        target: Schema = {key: source[key] for key in _KEPT if key in source}
        if "description" in target:
            target["description"] = _one_paragraph(target["description"])
        if "const" in source:
            target["enum"] = [source["const"]]
        for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
            if exclusive in source:
                target |= {bound: source[exclusive], exclusive: True}
        if "items" in source:
            target["items"] = self.translate(source["items"], f"{where}[]")
        self._add_properties(source, target, where)
        self._add_default(source, target, where)
        target |= {key: value for key, value in source.items() if key.startswith("x-kubernetes-")}
        if _VALIDATIONS in source:
            target[_VALIDATIONS] = [_ordered(each) for each in source[_VALIDATIONS]]
        if PATTERN_MESSAGE in source:
            _pattern_as_rule(source, target)
        if "type" not in target:
            msg = f"{where}: no type"
            raise SchemaError(msg)
        return target

    def _inline(self, source: Schema, where: str) -> Schema:
        """The schema without references and without null. What stands beside a reference wins over what it names."""
        if "$ref" in source:
            named = self._definitions[source["$ref"].rpartition("/")[2]]
            return self._merged(named, source, "$ref", where)
        if "anyOf" in source:
            branches = [branch for branch in source["anyOf"] if branch != {"type": "null"}]
            if len(branches) != 1 or len(branches) == len(source["anyOf"]):
                msg = f"{where}: a union of types cannot be expressed; use one optional field for each"
                raise SchemaError(msg)
            return self._merged(branches[0], source, "anyOf", where)
        return source

    def _merged(self, inner: Schema, outer: Schema, key: str, where: str) -> Schema:
        inner = self._inline(inner, where)
        merged = inner | {name: value for name, value in outer.items() if name != key}
        if _VALIDATIONS in inner and _VALIDATIONS in outer:
            merged[_VALIDATIONS] = [*inner[_VALIDATIONS], *outer[_VALIDATIONS]]
        return merged

    def _add_properties(self, source: Schema, target: Schema, where: str) -> None:
        extra = source.get("additionalProperties", False)
        if extra is True and ("properties" in source or source.get("x-kubernetes-preserve-unknown-fields")):
            extra = False  # what the models let pass besides is pruned by the API server, unless that is told otherwise
        if extra is True:
            msg = f"{where}: give the type of the values"
            raise SchemaError(msg)
        if extra:
            target["additionalProperties"] = self.translate(extra, f"{where}{{}}")
        if "properties" in source:
            target["properties"] = {
                name: self.translate(field, f"{where}.{name}") for name, field in source["properties"].items()
            }
        if source.get("required"):
            target["required"] = sorted(source["required"])

    def _add_default(self, source: Schema, target: Schema, where: str) -> None:
        """Empty defaults are left out: they would only add noise to every object that is read back."""
        default = source.get("default")
        if not self._defaults or default in (None, "") or isinstance(default, list | dict):
            return
        if target["type"] == "string" and isinstance(default, int | float):
            text = format_duration(default)
            if parse_duration(text) != default:
                msg = f"{where}: default {default} s is not a duration of two units"
                raise SchemaError(msg)
            default = text
        target["default"] = default


def _ordered(validation: Mapping[str, str]) -> dict[str, str]:
    return {key: validation[key] for key in ("rule", "message", "messageExpression", "fieldPath") if key in validation}


def _pattern_as_rule(source: Schema, target: Schema) -> None:
    """A CEL rule says in a sentence what is wrong, where `pattern` would show the regular expression to the user."""
    del target["pattern"]
    matches = rule(f"self.matches(r'{source['pattern']}')", source[PATTERN_MESSAGE])
    target[_VALIDATIONS] = [matches, *target.get(_VALIDATIONS, [])]


def _one_paragraph(text: str) -> str:
    """A docstring as `kubectl explain` shows it best: no line breaks of the source, no markup of code."""
    return " ".join(text.replace("``", "`").split())


def _column(name: str, kind: str, path: str, description: str, **more: Any) -> Schema:
    return {"name": name, "type": kind, "jsonPath": path, "description": description, **more}


def build(versions: Sequence[ApiVersion] = VERSIONS) -> Schema:
    """The CustomResourceDefinition as an object. Raises SchemaError where not exactly one version is stored."""
    if sum(each.storage for each in versions) != 1:
        msg = f"one version has to be stored, of {', '.join(each.name for each in versions)}"
        raise SchemaError(msg)
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": KIND.lower(),
                "shortNames": ["sro"],
                "categories": ["all"],
            },
            "versions": [_version(each) for each in versions],
        },
    }


def _version(version: ApiVersion) -> Schema:
    schema: Schema = {
        "type": "object",
        "description": "Moves work from an old system to a new one, phase by phase, and back when metrics say so.",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string", "description": f"{GROUP}/{version.name}."},
            "kind": {"type": "string", "description": f"{KIND}."},
            # The bound leaves room for names that are made from it, such as those of Events.
            "metadata": {"type": "object", "properties": {"name": {"type": "string", "maxLength": 63}}},
            "spec": structural(version.spec),
            "status": structural(version.status, defaults=False),
        },
        _VALIDATIONS: [_IN_FLIGHT_RULE],
    }
    warned = {"deprecated": True, "deprecationWarning": version.deprecated} if version.deprecated else {}
    return {
        "name": version.name,
        "served": version.served,
        "storage": version.storage,
        **warned,
        "subresources": {"status": {}},
        "additionalPrinterColumns": [
            _column("Phase", "string", ".status.phase.label", "Place and name of the current phase."),
            _column("Weight", "integer", ".status.weight", "Share of new in percent."),
            _column("Status", "string", ".status.state", "Where the rollout is, in one word."),
            _column("Health", "string", ".status.health", "The criteria of the current phase in one word."),
            _column("Next", "string", ".status.next", "What comes next."),
            _column("Age", "date", ".metadata.creationTimestamp", "Time since it was created."),
            _column("Message", "string", ".status.message", "Where it is and what it waits for.", priority=1),
        ],
        "schema": {"openAPIV3Schema": schema},
    }


class _Dumper(yaml.SafeDumper):
    """Plain YAML: no anchors, so that what stands twice can be read twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def render(crd: Schema) -> str:
    """The definition as the YAML of ``crds/``."""
    return _HEADER + yaml.dump(crd, Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True)


def render_chart_template(crd: Schema) -> str:
    """The definition as a template of the chart: a template, unlike Helm's ``crds/``, is upgraded with the chart."""
    text = yaml.dump(crd["spec"], Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True)
    if "{{" in text:
        msg = "the CRD holds '{{', which Helm would take for a template; word it differently"
        raise SchemaError(msg)
    spec = "".join(f"  {line}\n" if line else "\n" for line in text.splitlines())
    return (
        "{{- /* " + _HEADER.strip("# \n") + " */ -}}\n"
        "{{- if .Values.crds.install }}\n"
        f"apiVersion: {crd['apiVersion']}\nkind: {crd['kind']}\nmetadata:\n  name: {crd['metadata']['name']}\n"
        "  labels:\n"
        '    {{- include "syncrollout.labels" . | nindent 4 }}\n'
        "  {{- if .Values.crds.keep }}\n"
        "  annotations:\n"
        "    helm.sh/resource-policy: keep\n"
        "  {{- end }}\n"
        f"spec:\n{spec}"
        "{{- end }}\n"
    )


def outputs() -> dict[Path, str]:
    """Every generated file, by its path from the root of the repository."""
    crd = build()
    return {CRD_PATH: render(crd), CHART_PATH: render_chart_template(crd)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the generated files, or compares them. Gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m syncrollout.api.crd", description="Generates the CRD.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 where a file is out of date")
    parser.add_argument("--root", type=Path, default=ROOT, help="root of the repository (default: %(default)s)")
    options = parser.parse_args(arguments)
    stale = []
    for path, text in outputs().items():
        target = options.root / path
        if target.is_file() and target.read_text(encoding="utf-8") == text:
            continue
        stale.append(path)
        if not options.check:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
    for path in stale:
        message = "is out of date; run `python -m syncrollout.api.crd`" if options.check else "written"
        sys.stderr.write(f"{path}: {message}\n")
    return 1 if options.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
