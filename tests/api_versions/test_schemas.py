"""What the first release stored, by today's schema and models; and versions of the CRD."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from api_versions.recorded import NAMES, definition, holds, recorded
from syncrollout.act.record import status_json
from syncrollout.api.compatibility import lacks
from syncrollout.api.crd import VERSIONS, ApiVersion, SchemaError, build
from syncrollout.api.spec import SyncRolloutSpec
from syncrollout.api.status import SyncRolloutStatus
from syncrollout.cli.rollout import parse

CHANGELOG = Path(__file__).parents[2] / "CHANGELOG.md"
TWO = (
    ApiVersion("v1alpha1", deprecated="syncrollout.io/v1alpha1 is deprecated; use syncrollout.io/v1beta1"),
    ApiVersion("v1beta1", storage=True),
)


def test_nothing_that_the_first_release_took_is_lost_or_refused_without_a_word_in_the_changelog() -> None:
    before = definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    today = build()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    told = re.findall("`([^`]+)`", CHANGELOG.read_text())
    silent = [
        str(lack)
        for part in ("spec", "status")
        for lack in lacks(before[part], today[part], part)
        if lack.path.removeprefix("spec.") not in told and lack.path not in told
    ]
    assert not silent, "each has to stand in CHANGELOG.md under Changed or Removed, as `its.path`"


@pytest.mark.parametrize("name", NAMES)
def test_todays_models_read_what_the_first_release_wrote_to_the_last_field(name: str) -> None:
    obj = recorded(name)
    SyncRolloutSpec.model_validate(obj["spec"])
    status = SyncRolloutStatus.model_validate(obj["status"])
    assert holds(status_json(status), obj["status"])
    assert parse(obj).status == status


# ---- versions


def test_two_versions_have_the_same_schema_and_one_is_stored() -> None:
    first, second = build(TWO)["spec"]["versions"]
    assert [(each["name"], each["served"], each["storage"]) for each in (first, second)] == [
        ("v1alpha1", True, False),
        ("v1beta1", True, True),
    ]
    assert (first["deprecated"], first["deprecationWarning"]) == (True, TWO[0].deprecated)
    assert "deprecated" not in second
    for part in ("spec", "status"):
        schemas = [each["schema"]["openAPIV3Schema"]["properties"][part] for each in (first, second)]
        assert schemas[0] == schemas[1]


@pytest.mark.parametrize("versions", [(), (ApiVersion("v1beta1"),), (*VERSIONS, ApiVersion("v1beta1", storage=True))])
def test_exactly_one_is_stored(versions: tuple[ApiVersion, ...]) -> None:
    with pytest.raises(SchemaError, match="one version has to be stored"):
        build(versions)
