"""What the API server's answers mean, in words for a person on call: which call, what it said, what to do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from syncrollout.ports import (
    AlreadyExists,
    ApiError,
    Behalf,
    Conflict,
    Expired,
    Forbidden,
    Invalid,
    KindNotServed,
    KindRef,
    NotFound,
    PatchType,
    Unavailable,
)

MAX_SAID = 500
PATCH_DOES_NOT_APPLY = "the server rejected our request due to an error in our request"
"""All that an API server says (422) about a JSON patch of which an operation failed, a `test` or a missing path; a
body that breaks the schema or a rule is a 422 too, but that one names the field. `tests/contract` holds this."""


NAMELESS = (
    "for this rollout names no ServiceAccount, and this operator does nothing on behalf of one that does not "
    "(require-service-account): give spec.serviceAccountName"
)


@dataclass(frozen=True, slots=True)
class Call:
    """One request, as messages name it. `verb` is the one of RBAC; `resource` the plural; `name` empty for all."""

    verb: str
    kind: KindRef
    resource: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    patch_type: PatchType | None = None
    behalf: Behalf | None = None

    def __str__(self) -> str:
        where = "/".join(part for part in (self.namespace, self.name) if part) or "everywhere"
        return f"{self.verb} {self.kind.kind} {where}{' (' + self.subresource + ')' if self.subresource else ''}"

    @property
    def metric(self) -> str:
        """Resource and subresource in one word."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


def error_of(call: Call, status: int, body: bytes, headers: Mapping[str, str]) -> ApiError:
    """The error that an answer of `status` (400 and more) stands for."""
    answer = _status_object(body)
    said = str((answer or {}).get("message") or body[:MAX_SAID].decode("utf-8", "replace")).strip()[:MAX_SAID]
    reason = str((answer or {}).get("reason") or "")
    text = f"{call}: the API server answered {status}: {said}"
    match status:
        case 404 if answer is None:
            # A path that is not there at all gets "404 page not found" in plain text, not a Status object.
            return KindNotServed(f"{call}: the API server does not serve {call.kind} any longer; was its CRD removed?")
        case 404:
            return NotFound(text if call.verb == "create" or not call.name else f"{call}: there is no such object")
        case 401:
            return Unavailable(f"{text}; the operator's token or certificate is not accepted", status=401)
        case 403:
            return Forbidden(_forbidden(call, said))
        case 409 if reason == "AlreadyExists":
            return AlreadyExists(f"{call}: the name is taken already")
        case 409:
            return Conflict(f"{call}: the object has changed meanwhile; read it again")
        case 410:
            return Expired(f"{call}: the resourceVersion is too old; list again")
        case 422 if call.patch_type is PatchType.JSON and said == PATCH_DOES_NOT_APPLY:
            return Conflict(f"{call}: a precondition of the patch does not hold; the object has changed, read it again")
        case 422 if any(each.get("field") == "metadata.uid" for each in _causes(answer)):
            return Conflict(f"{call}: it is another object by now, made anew under its old name; read it again")
        case 408 | 429:
            return Unavailable(text, status=status, retry_after=_retry_after(answer, headers))
        case _ if status >= 500:
            return Unavailable(text, status=status, retry_after=_retry_after(answer, headers))
        case _:
            return Invalid(text, status=status)


def _status_object(body: bytes) -> dict[str, Any] | None:
    try:
        answer = json.loads(body)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) and answer.get("kind") == "Status" else None


def _causes(answer: dict[str, Any] | None) -> list[dict[str, Any]]:
    return list(((answer or {}).get("details") or {}).get("causes") or ())


def _forbidden(call: Call, said: str) -> str:
    if call.behalf is not None and call.behalf.account and "cannot impersonate" in said:
        return (
            f"{call}: the operator may not do this as {call.behalf}, which spec.serviceAccountName names; give it the "
            "rights to impersonate that are in its release's manifests/20-rbac.yaml or chart (the API server said: "
            f"{said})"
        )
    if f"cannot {call.verb} resource" not in said:
        return f"{call}: refused by the API server or one of its admission checks (403): {said}"
    group = f" of API group {call.kind.group}" if call.kind.group else " of the core API group"
    scope = f"in namespace {call.namespace}" if call.namespace else "in all namespaces"
    if call.behalf is not None and call.behalf.account:
        return f"{call}: {lacks(call.behalf, call.verb, call.metric, call.kind.group)} (the API server said: {said})"
    return (
        f'{call}: the operator lacks the right to "{call.verb}" resource "{call.metric}"{group} {scope}; '
        f"grant it in the operator's Role or ClusterRole (the API server said: {said})"
    )


def lacks(behalf: Behalf, verb: str, resource: str, group: str) -> str:
    """That an account lacks a right, and how it is given."""
    of_group = f" of API group {group}" if group else " of the core API group"
    dotted = f"{resource.partition('/')[0]}.{group}".rstrip(".") + resource[len(resource.partition("/")[0]) :]
    role, namespace = f"{behalf.account}-rollouts", behalf.namespace
    return (
        f'{behalf}, which spec.serviceAccountName names, lacks the right to "{verb}" resource "{resource}"{of_group} '
        f"in namespace {namespace}; grant it in a Role that is bound to the account, such as: "
        f"kubectl -n {namespace} create role {role} --verb={verb} --resource={dotted}, and "
        f"kubectl -n {namespace} create rolebinding {role} --role={role} --serviceaccount={namespace}:{behalf.account}"
    )


def _retry_after(answer: dict[str, Any] | None, headers: Mapping[str, str]) -> float | None:
    """Seconds, from the header or the body; API servers send whole seconds, never a date."""
    said = headers.get("Retry-After") or ((answer or {}).get("details") or {}).get("retryAfterSeconds")
    try:
        return max(0.0, float(said)) if said is not None else None
    except (TypeError, ValueError):
        return None
