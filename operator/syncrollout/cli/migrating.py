"""`kubectl syncrollout migrate-storage`: every SyncRollout is stored in the version that the CRD stores now.

An API server converts what it reads, and writes what it is given in the version of the day: an object that nobody has
written since the CRD changed is still kept in the version of before, which therefore may not be taken out of the CRD.
A patch that changes nothing has each of them written anew; then the CRD is told which versions are left.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from syncrollout.api.words import GROUP, KIND, PLURAL
from syncrollout.cli.answers import Ended, Failed
from syncrollout.cli.asking import POINTLESS, DryRun, Terminal
from syncrollout.cli.kubectl import Changed, Kubectl
from syncrollout.cli.verbs import Context, DryRunOption, Kubeconfig, Yes, terminal

CRD: Final = f"{PLURAL}.{GROUP}"
AT_ONCE: Final = 100
"""Objects that one kubectl is given."""


class Stores(Protocol):
    """What is asked of the cluster. Every method raises Failed with a sentence for the person."""

    def definition(self) -> dict[str, Any]:
        """The CustomResourceDefinition."""

    def all_names(self, version: str) -> list[tuple[str, str]]:
        """Namespace and name of every SyncRollout, as they are in that version."""

    def touch(self, objects: Sequence[dict[str, Any]], *, dry_run: bool) -> None:
        """Have each written as it is. Those that are gone are passed over."""

    def trim(self, definition: dict[str, Any], version: str, *, dry_run: bool) -> None:
        """Record that nothing is stored in another version, unless the definition has changed meanwhile."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What there is to do."""

    version: str
    """The one that is stored now."""
    others: tuple[str, ...]
    """Those in which objects may be kept still."""

    @classmethod
    def of(cls, definition: dict[str, Any]) -> Plan:
        """By what the CRD says of itself."""
        (version,) = (str(each["name"]) for each in definition["spec"]["versions"] if each["storage"])
        kept = (definition.get("status") or {}).get("storedVersions") or []
        return cls(version, tuple(str(each) for each in kept if each != version))


def migrate(cluster: Stores, talk: Terminal, *, dry_run: DryRun, yes: bool) -> None:
    """Say what there is to do, and do it. Raises Ended where the person says no, Failed where something is left over:
    then nothing has been trimmed, and it can be run again."""
    definition = cluster.definition()
    plan = Plan.of(definition)
    if not plan.others:
        talk.say(f"Every SyncRollout is stored as {plan.version}: there is nothing to do.")
        return
    names = cluster.all_names(plan.version)
    others = " and ".join(plan.others)
    talk.say(
        f"{CRD} stores {plan.version}; some of its {len(names)} objects may be kept as {others}. Each is written as it "
        f"is, which changes nothing in it, and then {others} is taken out of status.storedVersions of the CRD."
    )
    if dry_run is DryRun.CLIENT:
        talk.say("Nothing was done (client dry run).")
        return
    trying = dry_run is DryRun.SERVER
    if not trying and not yes and not talk.confirm("Go on?"):
        talk.say("Nothing was done.")
        raise Ended(POINTLESS)
    done = 0
    for at in range(0, len(names), AT_ONCE):
        several = names[at : at + AT_ONCE]
        cluster.touch([_named(plan.version, *each) for each in several], dry_run=trying)
        done += len(several)
        talk.say(f"{'Tried' if trying else 'Written'}: {done} of {len(names)}")
    cluster.trim(definition, plan.version, dry_run=trying)
    if trying:
        talk.say("All would be written (server dry run: nothing was done).")
    else:
        talk.say(f"Every SyncRollout is stored as {plan.version}. The CRD may do without {others} from now on.")


def _named(version: str, namespace: str, name: str) -> dict[str, Any]:
    return {
        "apiVersion": f"{GROUP}/{version}",
        "kind": KIND,
        "metadata": {"name": name, "namespace": namespace},
    }


@dataclass(frozen=True, slots=True)
class Storage:
    """`Stores`, by running kubectl."""

    kubectl: Kubectl

    def definition(self) -> dict[str, Any]:
        """See Stores."""
        return self.kubectl.get("customresourcedefinitions", CRD)

    def all_names(self, version: str) -> list[tuple[str, str]]:
        """See Stores."""
        columns = "custom-columns=:metadata.namespace,:metadata.name"
        lines = self.kubectl.run(
            "get", f"{PLURAL}.{version}.{GROUP}", "--all-namespaces", "--no-headers", "-o", columns
        )
        pairs = (line.split() for line in lines.splitlines() if line.strip())
        return [(namespace, name) for namespace, name in pairs]

    def touch(self, objects: Sequence[dict[str, Any]], *, dry_run: bool) -> None:
        """See Stores."""
        given = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
        options = ["--dry-run=server"] if dry_run else []
        arguments = ("patch", "-f", "-", "--type=merge", "--patch={}", "--field-manager=kubectl-syncrollout", *options)
        problem = self.kubectl.complaints(*arguments, given=given)
        left = [line for line in problem if '" not found' not in line]
        if left:
            raise Failed(
                f"{len(left)} of {len(objects)} could not be written, and the CRD was left as it is: mend that and run "
                f"this again (kubectl: {left[0]})"
            )

    def trim(self, definition: dict[str, Any], version: str, *, dry_run: bool) -> None:
        """See Stores."""
        stands = {"resourceVersion": definition["metadata"]["resourceVersion"]}
        patch = {"metadata": stands, "status": {"storedVersions": [version]}}
        options = ["--dry-run=server"] if dry_run else []
        arguments = ("--subresource=status", "--type=merge", "--patch", json.dumps(patch), *options)
        try:
            self.kubectl.run("patch", "customresourcedefinitions", CRD, *arguments)
        except Changed as error:
            raise Failed(f"the CRD was changed meanwhile, and was left as it is: run this again ({error})") from error


def migrate_storage(
    *,
    yes: Yes = False,
    dry_run: DryRunOption = DryRun.NONE,
    context: Context = "",
    kubeconfig: Kubeconfig = "",
) -> None:
    """Have every SyncRollout of the cluster stored in the version that the CRD stores now; asks first.

    Needed once after an upgrade that brings a new version of the resource, before the CRD of a later release does
    without the old one. Rollouts in flight go on meanwhile. Exit code 0: done, or there was nothing to do; 1: something
    could not be written, and can be tried again; 2: the person said no.
    """
    migrate(Storage(Kubectl("", context, kubeconfig)), terminal(), dry_run=dry_run, yes=yes)


__all__ = ["CRD", "Plan", "Storage", "Stores", "migrate", "migrate_storage"]
