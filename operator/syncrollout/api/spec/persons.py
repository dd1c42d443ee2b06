"""Persons, as the API server knows them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from syncrollout.api.fields import Model

_SET: dict[str, Any] = {"x-kubernetes-list-type": "set"}
_User = Annotated[str, Field(min_length=1, max_length=253, description="A user name.")]
_Group = Annotated[str, Field(min_length=1, max_length=253, description="The name of a group.")]


class Persons(Model):
    """Who may do something, by the names that the API server knows them by."""

    users: Annotated[tuple[_User, ...], Field(max_length=32, json_schema_extra=_SET)] = ()
    """User names: what `kubectl auth whoami` says."""
    groups: Annotated[
        tuple[_Group, ...], Field(max_length=32, json_schema_extra={"x-kubernetes-list-type": "set"})
    ] = ()
    """Groups; who is in them is known to the API server alone, so they are held to by its admission policy."""

    @property
    def named(self) -> bool:
        """Whether anybody is."""
        return bool(self.users or self.groups)
