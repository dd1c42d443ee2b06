"""What every part of the status is made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from syncrollout.api.fields import Model

Sentence = Annotated[str, Field(max_length=2048)]


class Written(Model):
    """Base of what the operator writes: fields that a later release has added, and its own words for reasons and
    conditions, are kept as they stand. So going back to an earlier one does not stop a run in flight, and where both
    run side by side for a while neither takes from the other what it has noted."""

    model_config = ConfigDict(extra="allow")
