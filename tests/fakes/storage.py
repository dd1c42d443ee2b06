"""The objects of the fake API server: versions, generations, finalizers, subresources and the history of changes, with
the semantics of the real one (`tests/contract` runs the same tests on both). No I/O, no faults, nothing asynchronous.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from fakes.patching import PatchFailedError, clone, json_patch, merge_patch
from fakes.selectors import matches
from syncrollout.api import words
from syncrollout.ports import (
    AlreadyExists,
    Conflict,
    Expired,
    Invalid,
    KindNotServed,
    KindRef,
    NotFound,
    Object,
    ObjectRef,
    PatchType,
)

EventType = Literal["ADDED", "MODIFIED", "DELETED"]
HISTORY = 10_000
SERVER_OWNED = ("uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp")


@dataclass(frozen=True, slots=True)
class Served:
    """How a kind is served. `generation`: None where the kind has none (ConfigMap); `spec` where only changes of spec
    count (built-in types); `custom` where all but metadata (and status, with that subresource) counts."""

    namespaced: bool = True
    status: bool = False
    scale: bool = False
    generation: Literal["spec", "custom"] | None = None


@dataclass(frozen=True, slots=True)
class Happening:
    """One entry of the history."""

    version: int
    type: EventType
    ref: ObjectRef
    object: Object
    before: Object | None
    """The object as it stood until then; None for a new one."""


BUILT_IN: dict[KindRef, Served] = {
    KindRef("v1", "Namespace"): Served(namespaced=False, status=True),
    KindRef("v1", "Node"): Served(namespaced=False, status=True),
    KindRef("v1", "ConfigMap"): Served(),
    KindRef("v1", "Secret"): Served(),
    KindRef("v1", "ServiceAccount"): Served(),
    KindRef("v1", "Event"): Served(),
    KindRef("v1", "Pod"): Served(status=True),
    KindRef("v1", "Service"): Served(status=True),
    KindRef("apps/v1", "Deployment"): Served(status=True, scale=True, generation="spec"),
    KindRef("apps/v1", "StatefulSet"): Served(status=True, scale=True, generation="spec"),
    KindRef("autoscaling/v2", "HorizontalPodAutoscaler"): Served(status=True),
    KindRef("batch/v1", "CronJob"): Served(status=True, generation="spec"),
    KindRef("batch/v1", "Job"): Served(status=True, generation="spec"),
    KindRef("coordination.k8s.io/v1", "Lease"): Served(),
    KindRef("gateway.networking.k8s.io/v1", "HTTPRoute"): Served(status=True, generation="custom"),
    KindRef("gateway.networking.k8s.io/v1", "GRPCRoute"): Served(status=True, generation="custom"),
    KindRef(words.API_VERSION, words.KIND): Served(status=True, generation="custom"),
}


class Storage:
    """All objects. Every method answers copies and raises the errors of the port."""

    def __init__(self, *, start_version: int, now: Callable[[], float]) -> None:
        self.version = start_version
        self.kinds = dict(BUILT_IN)
        self.history: list[Happening] = []
        self.oldest = start_version
        """Watches may start from this version on; from any before it they get Expired."""
        self.listeners: list[Callable[[Happening], None]] = []
        self._objects: dict[KindRef, dict[tuple[str, str], Object]] = {}
        self._now = now
        self._uids = 0
        self.scattered = False
        """uids look as a real API server's do, not one like the next."""

    def served(self, kind: KindRef) -> Served:
        """Raises KindNotServed."""
        if kind not in self.kinds:
            raise KindNotServed(f"the API server does not serve {kind}")
        return self.kinds[kind]

    def check(self, ref: ObjectRef, *, named: bool = True) -> None:
        """Refuse what a path cannot be made of. Raises KindNotServed, Invalid."""
        served = self.served(ref.kind)
        for part in (ref.namespace, *((ref.name,) if named else ())):
            if part in {".", ".."} or "/" in part or "%" in part or (named and part == ref.name and not part):
                raise Invalid(f"{ref}: {part!r} is not a name of a Kubernetes object")
        if named and served.namespaced != bool(ref.namespace):
            raise Invalid(
                f"{ref}: a {ref.kind.kind} {'stands' if served.namespaced else 'does not stand'} in a namespace"
            )

    def find(self, ref: ObjectRef) -> Object | None:
        """The object itself (not a copy) or None."""
        return self._objects.get(ref.kind, {}).get((ref.namespace, ref.name))

    def get(self, ref: ObjectRef, subresource: str = "") -> Object:
        """A copy, or the object's Scale. Raises NotFound."""
        self._has(ref, subresource, "get")
        found = self.find(ref)
        if found is None:
            raise NotFound(f"get {ref}: there is no such object")
        return _scale_of(clone(found)) if subresource == "scale" else dict(clone(found))

    def all(self, kind: KindRef, namespace: str = "", selector: str = "") -> list[Object]:
        """Copies, by namespace and name."""
        self.served(kind)
        matches(selector, {})  # what is no selector is refused, whether there are objects or not
        held = self._objects.get(kind, {})
        found = [held[key] for key in sorted(held) if not namespace or key[0] == namespace]
        return [clone(obj) for obj in found if matches(selector, labels_of(obj))]

    def create(self, ref: ObjectRef, body: Object, *, dry_run: bool = False) -> Object:
        """A new object, as `ref` names it; with `dry_run` only what it would be."""
        served = self.served(ref.kind)
        metadata = {**clone(body.get("metadata", {})), "namespace": ref.namespace, "name": ref.name}
        if not ref.name:
            if not metadata.get("generateName"):
                raise Invalid(f"create {ref}: name or generateName is required")
            metadata["name"] = f"{metadata['generateName']}{self._uids:05d}"
            ref = ObjectRef(ref.kind, ref.namespace, metadata["name"])
        if not served.namespaced:
            del metadata["namespace"]
        if self.find(ref) is not None:
            raise AlreadyExists(f"create {ref}: the name is taken already")
        for name in SERVER_OWNED:
            metadata.pop(name, None)
        self._uids += 1
        uid = uuid.UUID(int=self._uids)
        metadata["uid"] = str(uuid.uuid5(uid, "scattered") if self.scattered else uid)
        metadata["creationTimestamp"] = self._timestamp()
        if served.generation:
            metadata["generation"] = 1
        created = {**clone(body), "apiVersion": ref.kind.api_version, "kind": ref.kind.kind, "metadata": metadata}
        if served.status:
            created.pop("status", None)
        if dry_run:
            return created
        self._objects.setdefault(ref.kind, {})[ref.namespace, ref.name] = created
        return self._happened("ADDED", ref, created, None)

    def patch(
        self, ref: ObjectRef, patch: Any, kind: PatchType, subresource: str = "", *, dry_run: bool = False
    ) -> Object:
        """A patched object, or its Scale; with `dry_run` only what it would be."""
        served = self._has(ref, subresource, "patch")
        old = self.find(ref)
        if old is None:
            raise NotFound(f"patch {ref}: there is no such object")
        shown = _scale_of(old) if subresource == "scale" else old
        try:
            wanted = json_patch(shown, patch) if kind is PatchType.JSON else merge_patch(shown, patch)
        except PatchFailedError as error:
            raise Conflict(f"patch {ref}: a precondition of the patch does not hold: {error}") from error
        if wanted["metadata"].get("resourceVersion") not in {None, old["metadata"]["resourceVersion"]}:
            raise Conflict(f"patch {ref}: the object has changed meanwhile")
        if wanted["metadata"].get("uid") not in {None, old["metadata"]["uid"]}:
            raise Conflict(f"patch {ref}: it is another object of the same name by now")
        if subresource == "scale":
            spec = {**old.get("spec", {}), "replicas": wanted.get("spec", {}).get("replicas", 0)}
            return _scale_of(self._replace(ref, old, {**old, "spec": spec}, dry_run=dry_run))
        if subresource == "status":
            new = {**old}
            new.pop("status", None)
            changed = {key: wanted[key] for key in ("status",) if key in wanted}
            return self._replace(ref, old, {**new, **changed}, dry_run=dry_run)
        if served.status:
            wanted.pop("status", None)
            if "status" in old:
                wanted["status"] = old["status"]
        return self._replace(ref, old, wanted, dry_run=dry_run)

    def delete(self, ref: ObjectRef) -> Object | None:
        """Gone at once, or marked for deletion while finalizers hold it; None where there is none."""
        old = self.find(ref)
        if old is None:
            return None
        if not old["metadata"].get("finalizers"):
            return self._drop(ref, old)
        if old["metadata"].get("deletionTimestamp"):
            return dict(clone(old))
        marked = clone(old)
        marked["metadata"]["deletionTimestamp"] = self._timestamp()
        if "generation" in marked["metadata"]:
            marked["metadata"]["generation"] += 1
        self._objects[ref.kind][ref.namespace, ref.name] = marked
        return self._happened("MODIFIED", ref, marked, old)

    def since(self, version: str) -> list[Happening]:
        """What happened after a resourceVersion. Raises Expired."""
        start = int(version)
        if start < self.oldest:
            raise Expired(f"watch: resourceVersion {version} is too old (oldest {self.oldest}); list again")
        return [each for each in self.history if each.version > start]

    def compact(self) -> None:
        """Forget all history: watches from before now get Expired."""
        self.history.clear()
        self.version += 1
        self.oldest = self.version

    def _has(self, ref: ObjectRef, subresource: str, verb: str) -> Served:
        served = self.served(ref.kind)
        if subresource and not getattr(served, subresource, False):
            raise NotFound(f"{verb} {ref}: there is no subresource {subresource}")
        return served

    def _replace(self, ref: ObjectRef, old: Object, wanted: Object, *, dry_run: bool) -> Object:
        new = clone(wanted)
        new["apiVersion"], new["kind"] = ref.kind.api_version, ref.kind.kind
        for name in (*SERVER_OWNED, "name", "namespace"):
            new["metadata"].pop(name, None)
            if name in old["metadata"]:
                new["metadata"][name] = old["metadata"][name]
        if new == old:
            return dict(clone(old))
        tracked = self.served(ref.kind).generation
        if tracked and _intent(new, tracked) != _intent(old, tracked):
            new["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1
        if dry_run:
            return dict(new)
        if new["metadata"].get("deletionTimestamp") and not new["metadata"].get("finalizers"):
            return self._drop(ref, new)
        self._objects[ref.kind][ref.namespace, ref.name] = new
        return self._happened("MODIFIED", ref, new, old)

    def _drop(self, ref: ObjectRef, last: Object) -> Object:
        del self._objects[ref.kind][ref.namespace, ref.name]
        return self._happened("DELETED", ref, clone(last), last)

    def _happened(self, what: EventType, ref: ObjectRef, obj: Object, before: Object | None) -> Object:
        self.version += 1
        obj["metadata"]["resourceVersion"] = str(self.version)
        happening = Happening(self.version, what, ref, clone(obj), before)
        self.history.append(happening)
        if len(self.history) > 2 * HISTORY:
            self.oldest = self.history[-HISTORY].version
            del self.history[:-HISTORY]
        for listener in list(self.listeners):
            listener(happening)
        return dict(clone(obj))

    def _timestamp(self) -> str:
        return datetime.fromtimestamp(self._now(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _intent(obj: Object, tracked: Literal["spec", "custom"]) -> Any:
    if tracked == "spec":
        return obj.get("spec")
    return {key: value for key, value in obj.items() if key not in {"metadata", "status"}}


def _scale_of(obj: Object) -> Object:
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    chosen = obj.get("spec", {}).get("selector", {}).get("matchLabels", {})
    return {
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": {name: obj["metadata"][name] for name in kept if name in obj["metadata"]},
        "spec": {"replicas": obj.get("spec", {}).get("replicas", 1)},
        "status": {
            "replicas": obj.get("status", {}).get("replicas", 0),
            "selector": ",".join(f"{key}={value}" for key, value in sorted(chosen.items())),
        },
    }


def labels_of(obj: Object) -> dict[str, str]:
    """The labels of an object."""
    return dict(obj["metadata"].get("labels") or {})
