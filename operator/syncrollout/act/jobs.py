"""Making the Jobs of a rollback's steps, and of drills.

Of what the template's owner wrote nothing is changed but this: the pod runs once (restartPolicy Never), every container
gets the variables ROLLOUT_*, the end of a failed one's log is kept in the pod's status, and our labels are put on it.
A template that names no ServiceAccount runs as the one of the rollout, if it has one. The Job belongs to the
SyncRollout, so that it goes with it. A rollout lives longer than its runs, so Kubernetes is told to take a Job away
some time after it has ended; never before its deadline, for until then one that is missing is made.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Awaitable
from typing import Any, Final, Protocol

from syncrollout.act.target import Target
from syncrollout.api.words import API_VERSION, DRILL_LABEL, KIND, ROLLOUT_LABEL, STEP_LABEL, Step
from syncrollout.decide.actions import CreateJob
from syncrollout.ports import ActingApi, AlreadyExists, Invalid, KindRef, NotFound, Object, ObjectRef

JOB: Final = KindRef("batch/v1", "Job")
CRON_JOB: Final = KindRef("batch/v1", "CronJob")
ACCOUNT_FIELDS: Final = ("serviceAccountName", "serviceAccount")
CONTAINERS: Final = ("initContainers", "containers")
KEEP: Final = 7 * 86400.0
"""Seconds that a Job stays after it has ended."""


class Write(Protocol):
    """Sends a write, and remembers where its answer was lost."""

    async def __call__(self, ref: ObjectRef, sent: Awaitable[Object]) -> Object:
        """The answer."""
        ...


class JobMaker:
    """Makes Jobs, each once."""

    def __init__(self, api: ActingApi, write: Write, keep: float = KEEP) -> None:
        """`keep`: seconds that a Job stays after it has ended."""
        self._api = api
        self._write = write
        self._keep = keep

    async def create(self, target: Target, action: CreateJob) -> None:
        """Make the Job, or find it made. Raises Invalid where its template, or its name, cannot be had."""
        ref = ObjectRef(JOB, target.ref.namespace, action.name)
        body = manifest(target, action, await self._template(target, action), self._keep)
        try:
            await self._write(ref, self._api.acting_as(target.behalf).create(ref, body))
        except AlreadyExists:
            stands = await self._api.get(ref)
            if not _ours(stands, target):
                raise Invalid(
                    f"{ref} exists, and is not of {target.ref}: delete it, so that the step can run"
                ) from None

    async def _template(self, target: Target, action: CreateJob) -> Object:
        if action.source.template is not None:
            return action.source.template.manifest
        name = action.source.from_cron_job or ""
        try:
            cron_job = await self._api.acting_as(target.behalf).get(ObjectRef(CRON_JOB, target.ref.namespace, name))
        except NotFound:
            where = "rollback.procedure" if isinstance(action.step, Step) else "the spec"
            text = f"step {action.called}: CronJob {target.ref.namespace}/{name} does not exist: create it"
            raise Invalid(f"{text}, or correct {where}") from None
        template: Object = cron_job["spec"]["jobTemplate"]["spec"]["template"]
        return template


def manifest(target: Target, action: CreateJob, template: Object, keep: float = KEEP) -> Object:
    """The Job of a step."""
    pod = copy.deepcopy(template)
    metadata: dict[str, Any] = pod.setdefault("metadata", {}) or {}
    labels = {ROLLOUT_LABEL: target.ref.name, STEP_LABEL: action.called}
    if action.drill is not None:
        labels[DRILL_LABEL] = action.drill.value
    pod["metadata"] = {**metadata, "labels": {**(metadata.get("labels") or {}), **labels}}
    pod["spec"]["restartPolicy"] = "Never"
    if target.behalf.account and not any(pod["spec"].get(name) for name in ACCOUNT_FIELDS):
        pod["spec"]["serviceAccountName"] = target.behalf.account
    variables = (*action.variables, ("ROLLOUT_NAMESPACE", target.ref.namespace))
    for kind in CONTAINERS:
        for container in pod["spec"].get(kind) or ():
            container["terminationMessagePolicy"] = "FallbackToLogsOnError"  # "File" of a CronJob is but the default
            container["env"] = _environment(container.get("env") or [], variables)
    owner = {"apiVersion": API_VERSION, "kind": KIND, "name": target.ref.name, "uid": target.uid, "controller": True}
    return {
        "metadata": {"labels": labels, "ownerReferences": [owner]},
        "spec": {
            "backoffLimit": 0,
            "completions": 1,
            "parallelism": 1,
            "activeDeadlineSeconds": action.seconds,
            "ttlSecondsAfterFinished": max(math.ceil(keep), action.seconds),
            "template": pod,
        },
    }


def _environment(theirs: list[Any], variables: tuple[tuple[str, str], ...]) -> list[Any]:
    """Ours come first, so that theirs may refer to them; where both have one of a name, ours counts."""
    names = {name for name, _ in variables}
    # Kubernetes would fill in $(NAME) in a value, and reads $$ as $.
    ours = [{"name": name, "value": value.replace("$", "$$")} for name, value in variables]
    return [*ours, *(each for each in theirs if each.get("name") not in names)]


def _ours(job: Object, target: Target) -> bool:
    owners = job["metadata"].get("ownerReferences") or ()
    return any(owner.get("uid") == target.uid for owner in owners)


__all__ = ["KEEP", "JobMaker", "manifest"]
