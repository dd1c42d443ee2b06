"""Writing incident reports into ConfigMaps that belong to the SyncRollout."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Final, Protocol

from syncrollout.act.target import Target
from syncrollout.api.words import API_VERSION, KIND, LOGS_ANNOTATION, REPORT_ANNOTATION, ROLLOUT_LABEL
from syncrollout.decide.actions import KeepLogs, WriteReport
from syncrollout.decide.report import JOB_LOGS, KEY, NEW_LOGS
from syncrollout.ports import AlreadyExists, Invalid, KindRef, Object, ObjectRef, OnBehalf, PatchType

CONFIG_MAP: Final = KindRef("v1", "ConfigMap")


class Write(Protocol):
    """Sends a write, and remembers where its answer was lost."""

    async def __call__(self, ref: ObjectRef, sent: Awaitable[Object]) -> Object:
        """The answer."""
        ...


class Reporter:
    """Writes reports; again, it writes the same."""

    def __init__(self, api: OnBehalf, write: Write) -> None:
        self._api = api
        self._write = write

    async def write(self, target: Target, action: WriteReport) -> None:
        """Make the ConfigMap, or write over an older report of this rollout. Raises Invalid where it is not ours."""
        data: dict[str, str | None] = {KEY: action.text, JOB_LOGS: action.jobs or None}
        await self._put(target, action.name, {REPORT_ANNOTATION: action.stamp}, data, action.stamp)

    async def keep(self, target: Target, action: KeepLogs) -> None:
        """Write the logs of new's pods to where the report comes to be; what is kept of this rollback is left as it is.
        Raises Invalid where the ConfigMap is not ours."""
        await self._put(target, action.name, {LOGS_ANNOTATION: action.stamp}, {NEW_LOGS: action.text}, action.stamp)

    async def _put(
        self, target: Target, name: str, annotations: dict[str, str], data: dict[str, str | None], stamp: str
    ) -> None:
        ref, api = ObjectRef(CONFIG_MAP, target.ref.namespace, name), self._api.acting_as(target.behalf)
        owner = {"apiVersion": API_VERSION, "kind": KIND, "name": target.ref.name, "uid": target.uid}
        metadata: dict[str, Any] = {"labels": {ROLLOUT_LABEL: target.ref.name}, "annotations": annotations}
        body: Object = {
            "metadata": {**metadata, "ownerReferences": [{**owner, "controller": True}]},
            "data": {key: text for key, text in data.items() if text is not None},
        }
        try:
            await self._write(ref, api.create(ref, body))
        except AlreadyExists:
            stands = await api.get(ref)
            owners = stands["metadata"].get("ownerReferences") or ()
            if not any(each.get("uid") == target.uid for each in owners):
                text = f"{ref} exists, and is not of {target.ref}: rename or delete it, so that the report can be kept"
                raise Invalid(text) from None
            kept = (stands["metadata"].get("annotations") or {}).get(LOGS_ANNOTATION) == stamp
            if NEW_LOGS in data and kept:
                return
            # what an earlier rollback has left does not stand beside this one's
            gone: dict[str, str | None] = {} if kept else {NEW_LOGS: None}
            gone |= {KEY: None, JOB_LOGS: None} if NEW_LOGS in data else {}
            patch = {"metadata": {"uid": stands["metadata"]["uid"], **metadata}, "data": {**gone, **data}}
            await self._write(ref, api.patch(ref, patch, PatchType.MERGE))


__all__ = ["Reporter"]
