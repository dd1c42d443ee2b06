"""What every part of the status is made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from syncrollout.api.fields import Model

Sentence = Annotated[str, Field(max_length=2048)]


class Written(Model):
    """Base of what the operator writes: fields that a later release has added are passed over, and words of its own for
    reasons and conditions are kept, so that going back to an earlier one does not stop a run in flight."""

    model_config = ConfigDict(extra="ignore")
