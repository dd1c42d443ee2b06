"""The generator: what is written is what the models say, and what has no translation is an error."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
import yaml
from pydantic import Field

from crd import examples
from syncrollout.api import crd
from syncrollout.api.fields import Duration, Model


def described(schema: dict[str, Any], path: str) -> Iterator[tuple[str, str]]:
    yield path, schema.get("description", "")
    for name, inner in schema.get("properties", {}).items():
        yield from described(inner, f"{path}.{name}")
    if "items" in schema:
        yield from described(schema["items"], f"{path}[]")


def test_the_generated_files_are_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    assert crd.main(["--check"]) == 0, capsys.readouterr().err


def test_check_names_the_file_that_is_out_of_date(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert crd.main(["--root", str(tmp_path)]) == 0
    assert crd.main(["--root", str(tmp_path), "--check"]) == 0
    path = tmp_path / crd.CRD_PATH
    path.write_text(path.read_text().replace("maximum: 100", "maximum: 101"))
    capsys.readouterr()
    assert crd.main(["--root", str(tmp_path), "--check"]) == 1
    assert capsys.readouterr().err == f"{crd.CRD_PATH}: is out of date; run `python -m syncrollout.api.crd`\n"
    assert "maximum: 101" in path.read_text(), "--check must not write"


def test_every_field_is_explained_in_sentences() -> None:
    wordless = []
    properties = examples.root_schema()["properties"]
    for part in ("spec", "status"):
        for path, text in described(properties[part], part):
            if not text.endswith((".", ")")) or "``" in text or "\n" in text:
                wordless.append(f"{path}: {text!r}")
    assert wordless == []


def test_names_and_columns() -> None:
    spec = examples.crd()["spec"]
    assert spec["names"]["shortNames"] == ["sro"]
    assert spec["names"]["categories"] == ["all"]
    columns = {column["name"]: column["jsonPath"] for column in spec["versions"][0]["additionalPrinterColumns"]}
    assert list(columns) == ["Phase", "Weight", "Status", "Health", "Next", "Age", "Message"]


class Inner(Model):
    """An inner model."""

    wait: Duration = 90.0
    """How long."""


class Outer(Model):
    """A model with all that the translation knows."""

    inner: Inner | None = None
    """What stands beside a reference wins over what it names."""
    above: Annotated[float, Field(gt=0, lt=10)] = 1.5
    """Between two bounds."""
    labels: dict[str, Annotated[int, Field(ge=0)]] | None = None
    """A map."""


def test_the_translation_inlines_drops_null_and_keeps_bounds() -> None:
    schema = crd.structural(Outer)
    assert schema["properties"] == {
        "inner": {
            "type": "object",
            "description": "What stands beside a reference wins over what it names.",
            "properties": {
                "wait": {
                    "type": "string",
                    "description": "How long.",
                    "maxLength": 30,
                    "default": "1m30s",
                    "x-kubernetes-validations": schema["properties"]["inner"]["properties"]["wait"][
                        "x-kubernetes-validations"
                    ],
                }
            },
        },
        "above": {
            "type": "number",
            "description": "Between two bounds.",
            "minimum": 0,
            "exclusiveMinimum": True,
            "maximum": 10,
            "exclusiveMaximum": True,
            "default": 1.5,
        },
        "labels": {
            "type": "object",
            "description": "A map.",
            "additionalProperties": {"type": "integer", "minimum": 0},
        },
    }


class Union(Model):
    """Has a field of two types."""

    either: int | str
    """One or the other."""


class Loose(Model):
    """Has a field of any type."""

    anything: Any
    """Whatever it is."""


class Precise(Model):
    """Has a default that the wire cannot hold."""

    wait: Duration = 90061.0
    """One day, one hour, one minute and one second."""


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Union, "Union.either: a union of types cannot be expressed; use one optional field for each"),
        (Loose, "Loose.anything: no type"),
        (Precise, "Precise.wait: default 90061.0 s is not a duration of two units"),
    ],
)
def test_what_cannot_be_expressed_is_an_error_that_names_the_field(model: type[Model], message: str) -> None:
    with pytest.raises(crd.SchemaError) as error:
        crd.structural(model)
    assert str(error.value) == message


def test_the_file_has_no_anchors_and_reads_back_the_same() -> None:
    text = crd.render(crd.build())
    assert yaml.safe_load(text) == crd.build()
    assert "&id" not in text
