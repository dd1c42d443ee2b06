"""Templates of messages, looked at before a run begins: a mistake in them is found then, and not at night."""

from __future__ import annotations

from syncrollout.act.target import Target
from syncrollout.api.words import Reason
from syncrollout.decide.facts import Problem
from syncrollout.messages.samples import mistakes
from syncrollout.ports import Forbidden, KindRef, KubeApi, NotFound, ObjectRef

CONFIG_MAP = KindRef("v1", "ConfigMap")


class Templates:
    """Looks at what spec.notifications.templates names."""

    def __init__(self, api: KubeApi) -> None:
        self._api = api

    async def problem(self, target: Target) -> Problem | None:
        """What a person has to mend first; None where all is well, or nothing is asked for. Raises ApiError where the
        API server cannot be asked."""
        wanted = target.spec.notifications
        if wanted is None or wanted.templates is None:
            return None
        ref = ObjectRef(CONFIG_MAP, target.ref.namespace, wanted.templates.config_map)
        named = f"{ref}, named by spec.notifications.templates"
        try:
            found = await self._api.get(ref)
        except NotFound:
            return Problem(Reason.TEMPLATE_INVALID, f"{named}, does not exist: create it, or remove templates")
        except Forbidden as error:
            return Problem(Reason.FORBIDDEN, f"{named}, may not be read: {error}")
        wrong = mistakes(target.spec, target.ref.name, {str(k): str(v) for k, v in (found.get("data") or {}).items()})
        if not wrong:
            return None
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        return Problem(Reason.TEMPLATE_INVALID, f"{named}: {wrong[0]}{more}: correct it, or remove the key"[:1024])


__all__ = ["Templates"]
