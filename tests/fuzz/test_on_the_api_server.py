"""Made-up manifests put to a real API server: what it takes the operator can read, and `validate` says what it says."""

from __future__ import annotations

import json
import os
import random
from typing import Any

import pytest
from pydantic import ValidationError

from crd.conftest import Try, attempt, installed
from fuzz.choices import Choices
from fuzz.manifests import manifest
from syncrollout.api.spec import SyncRolloutSpec
from syncrollout.cli import mistakes
from testbed import KubeError

pytestmark = pytest.mark.cluster

MANIFESTS = int(os.environ.get("FUZZ_MANIFESTS", "150"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))

__all__ = ["attempt", "installed"]


def test_what_it_takes_can_be_read_and_validate_agrees_with_it(attempt: Try) -> None:
    chance = random.Random(SEED)
    taken = refused = 0
    for number in range(MANIFESTS):
        made = manifest(Choices(chance.randbytes(chance.choice((12, 60, 240)))))
        try:
            text = json.dumps(made, allow_nan=False)
            text.encode()
        except ValueError:
            continue
        found = mistakes.check(text, "made.yaml").mistakes
        which = f"manifest {number} of seed {SEED}"
        answer = _answer(attempt, made)
        if isinstance(answer, KubeError):
            refused += 1
            assert answer.status in (400, 422), (which, answer)
            assert found, f"{which} is refused, and validate finds nothing: {answer}"
            continue
        taken += 1
        unread = _unread(answer["spec"])
        assert bool(unread) == bool(found), f"{which}: validate says {found}, the operator {unread or 'nothing'}"
    assert taken > MANIFESTS // 20, "some are sound"
    assert refused > MANIFESTS // 20, "some are not"


def _answer(attempt: Try, made: dict[str, Any]) -> dict[str, Any] | KubeError:
    try:
        return attempt(made)
    except KubeError as error:
        return error


def _unread(spec: dict[str, Any]) -> str:
    """What the operator has against a spec as it is stored."""
    try:
        SyncRolloutSpec.model_validate(spec)
    except ValidationError as error:
        return str(error)
    return ""
