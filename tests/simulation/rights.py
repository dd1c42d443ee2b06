"""What was asked for as an account, beside the rights that were looked at before."""

from __future__ import annotations

from dataclasses import replace

from fakes.kube import Call
from simulation.world import World

WORDS = frozenset({("list", "Pod", ""), ("get", "Pod", "log")})
"""What the pods of a Job have said: without it the words are missing, and nothing else."""
NAMELESS = frozenset({"create", "list"})


def beyond(world: World) -> list[str]:
    """Requests as an account for which nobody had looked whether it may make them, each once."""
    looked_at = world.kube.looked_at

    def covered(call: Call) -> bool:
        assert call.behalf is not None
        all_of_them = replace(call.ref, name="")
        refs = {all_of_them} if call.verb in NAMELESS else {all_of_them, call.ref}
        return any((call.behalf, call.verb, ref, call.subresource) in looked_at for ref in refs)

    asked = [call for call in world.calls if call.behalf is not None and call.behalf.account]
    extra = [call for call in asked if (call.verb, call.ref.kind.kind, call.subresource) not in WORDS]
    return sorted({f"{call.verb} {call.ref} {call.subresource}".rstrip() for call in extra if not covered(call)})


__all__ = ["beyond"]
