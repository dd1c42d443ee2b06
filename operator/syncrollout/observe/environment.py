"""Which variables the pod templates of both sides define, by name. Values are never looked at.

What `envFrom` brings in is known by the keys of that ConfigMap or Secret; of a Secret nothing but those is kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from syncrollout.act.target import Target, workload_ref
from syncrollout.api.spec import EnvVars
from syncrollout.api.words import Side
from syncrollout.observe import workloads
from syncrollout.ports import KindRef, KubeApi, NotFound, Object, ObjectRef, OnBehalf

CONFIG_MAP: Final = KindRef("v1", "ConfigMap")
SECRET: Final = KindRef("v1", "Secret")
_SOURCES: Final = (("configMapRef", CONFIG_MAP), ("secretRef", SECRET))
MOST_NAMES: Final = 64


@dataclass(frozen=True, slots=True)
class Defined:
    """What is missing of each side, and in words what stands in the way of knowing; empty where nothing does."""

    names: tuple[str, ...]
    """All that were asked for."""
    missing: dict[Side, tuple[str, ...]]
    wrong: str = ""


class Environment:
    """Looks at workloads, and at the ConfigMaps and Secrets that they name. Remembers nothing."""

    def __init__(self, api: OnBehalf) -> None:
        self._api = api

    async def look(self, target: Target, asked: EnvVars) -> Defined:
        """Raises ApiError for what the API server refuses; what does not exist is said in words."""
        namespace, names, api = target.ref.namespace, set(asked.names), self._api.acting_as(target.behalf)
        if asked.from_config_map is not None:
            keys = await self._keys(api, ObjectRef(CONFIG_MAP, namespace, asked.from_config_map))
            if keys is None:
                text = f"ConfigMap {namespace}/{asked.from_config_map}, which lists the variables, does not exist"
                return Defined((), {}, text)
            names |= keys
        if len(names) > MOST_NAMES:
            return Defined((), {}, f"{len(names)} variables are asked for, and {MOST_NAMES} at most can be")
        every = tuple(sorted(names))
        sides = await asyncio.gather(*(self._side(api, target, side, asked) for side in Side))
        wrong = "; ".join(found for found in sides if isinstance(found, str))
        missing = {
            side: tuple(name for name in every if any(name not in known for known in found))
            for side, found in zip(Side, sides, strict=True)
            if not isinstance(found, str)
        }
        return Defined(every, missing, wrong)

    async def _side(self, api: KubeApi, target: Target, side: Side, asked: EnvVars) -> Sequence[frozenset[str]] | str:
        """The names that each container defines that has to, or all of them together; or why that is not known."""
        ref = workload_ref(target.system(side), target.ref.namespace)
        try:
            workload = await api.get(ref)
        except NotFound as error:
            return f"{ref} cannot be read: {error}"
        pod = ((workloads.template(workload) or {}).get("spec")) or {}
        containers: list[Object] = list(pod.get("containers") or ())
        if not containers:
            return f"{ref} has no pod template that is known of"
        there = {str(each.get("name", "")) for each in containers}
        strangers = sorted(set(asked.containers) - there)
        if strangers:
            return f"{ref} has no container {', '.join(strangers)}; it has {', '.join(sorted(there))}"
        found = await asyncio.gather(*(self._container(api, each, target.ref.namespace) for each in containers))
        by_name = {str(each.get("name", "")): known for each, known in zip(containers, found, strict=True)}
        if asked.containers:
            return [by_name[name] for name in asked.containers]
        return [frozenset[str]().union(*found)]

    async def _container(self, api: KubeApi, container: Object, namespace: str) -> frozenset[str]:
        names = {str(each.get("name", "")) for each in container.get("env") or ()}
        brought = await asyncio.gather(*(self._from(api, each, namespace) for each in container.get("envFrom") or ()))
        return frozenset(names.union(*brought))

    async def _from(self, api: KubeApi, source: dict[str, Any], namespace: str) -> Iterable[str]:
        for field, kind in _SOURCES:
            named = source.get(field)
            if named:
                keys = await self._keys(api, ObjectRef(kind, namespace, str(named.get("name", ""))))
                return {f"{source.get('prefix') or ''}{key}" for key in keys or ()}
        return ()

    @staticmethod
    async def _keys(api: KubeApi, ref: ObjectRef) -> set[str] | None:
        try:
            return set((await api.get(ref)).get("data") or ())
        except NotFound:
            return None


def says(defined: Defined) -> tuple[bool | None, str]:
    """Whether both sides define all of them, and what there is to say."""
    if defined.wrong:
        return None, defined.wrong
    lacking = {side: names for side, names in defined.missing.items() if names}
    if not lacking:
        how_many = "the variable" if len(defined.names) == 1 else f"all {len(defined.names)} variables"
        return True, f"old and new define {how_many}"
    text = "; ".join(
        f"{side.value.lower()} does not define {', '.join(names[:_SHOWN])}" + _more(len(names) - _SHOWN)
        for side, names in lacking.items()
    )
    return False, text


_SHOWN: Final = 6


def _more(count: int) -> str:
    return f" and {count} more" if count > 0 else ""


__all__ = ["Defined", "Environment", "says"]
