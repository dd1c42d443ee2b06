"""Writing incident reports into ConfigMaps that belong to the SyncRollout."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Final, Protocol

from syncrollout.act.target import Target
from syncrollout.api.words import API_VERSION, KIND, REPORT_ANNOTATION, ROLLOUT_LABEL
from syncrollout.decide.actions import WriteReport
from syncrollout.decide.report import KEY
from syncrollout.ports import AlreadyExists, Invalid, KindRef, KubeApi, Object, ObjectRef, PatchType

CONFIG_MAP: Final = KindRef("v1", "ConfigMap")


class Write(Protocol):
    """Sends a write, and remembers where its answer was lost."""

    async def __call__(self, ref: ObjectRef, sent: Awaitable[Object]) -> Object:
        """The answer."""
        ...


class Reporter:
    """Writes reports; again, it writes the same."""

    def __init__(self, api: KubeApi, write: Write) -> None:
        self._api = api
        self._write = write

    async def write(self, target: Target, action: WriteReport) -> None:
        """Make the ConfigMap, or write over an older report of this rollout. Raises Invalid where it is not ours."""
        ref = ObjectRef(CONFIG_MAP, target.ref.namespace, action.name)
        owner = {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "name": target.ref.name,
            "uid": target.uid,
            "controller": True,
        }
        metadata: dict[str, Any] = {
            "labels": {ROLLOUT_LABEL: target.ref.name},
            "annotations": {REPORT_ANNOTATION: action.stamp},
        }
        data = {KEY: action.text}
        body: Object = {"metadata": {**metadata, "ownerReferences": [owner]}, "data": data}
        try:
            await self._write(ref, self._api.create(ref, body))
        except AlreadyExists:
            stands = await self._api.get(ref)
            owners = stands["metadata"].get("ownerReferences") or ()
            if not any(each.get("uid") == target.uid for each in owners):
                text = f"{ref} exists, and is not of {target.ref}: rename or delete it, so that the report can be kept"
                raise Invalid(text) from None
            of_this = {"uid": stands["metadata"]["uid"], **metadata}
            patch = {"metadata": of_this, "data": data}
            await self._write(ref, self._api.patch(ref, patch, PatchType.MERGE))


__all__ = ["Reporter"]
