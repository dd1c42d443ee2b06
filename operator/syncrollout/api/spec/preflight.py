"""What has to be so before a run begins, beyond what the rollout itself needs: a checklist of machines and people."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import ConfigDict, Field

from syncrollout.api.fields import NAME_PATTERN, Model, Name, ObjectName, PositiveDuration, pattern, rule, rules
from syncrollout.api.spec.backup import VolumeSnapshot
from syncrollout.api.spec.criteria import COMPARISONS, WRONG_NUMBER
from syncrollout.api.spec.jobs import JobSource
from syncrollout.api.spec.metrics import Query
from syncrollout.api.spec.persons import Persons
from syncrollout.api.spec.probes import Probe
from syncrollout.api.spec.systems import ApiVersion, Kind, WorkloadRef
from syncrollout.api.words import CheckGroup, Severity, Task

CHECK: Final = "check:"
"""What the names of readings of checks begin with; no metric can be called so."""
MOST_CHECKED: Final = 40
MOST_VARIABLES: Final = 64
CheckName = Annotated[
    str,
    Field(
        max_length=50,  # with what stands before it, it is the name of an annotation
        **pattern(NAME_PATTERN, "not a name; write lower case letters, digits and -, such as database-dump"),
    ),
]
Quantity = Annotated[
    str,
    Field(
        max_length=20,
        **pattern(
            r"^[0-9]{1,9}([.][0-9]{1,3})?(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$",
            "not a quantity; write it as in a pod's resources, such as 4, 500m, 8Gi or 100G",
        ),
    ),
]
EnvName = Annotated[
    str,
    Field(
        max_length=128,
        description="The name of a variable.",
        **pattern(
            r"^[A-Za-z_][-._A-Za-z0-9]*$",
            "not the name of an environment variable; write letters, digits and _, such as BATCH_SIZE",
        ),
    ),
]
_Container = Annotated[Name, Field(description="The name of a container.")]


class CheckQuery(Model):
    """A reading of new held against a number."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "has(self.metric) != has(self.promql)",
                "a query needs one source; give either metric, a name from spec.metrics, or promql",
            ),
            rule(f"{COMPARISONS} == 1", WRONG_NUMBER),
        )
    )

    metric: Name | None = None
    """A name from spec.metrics."""
    promql: Query | None = None
    """A query that is asked here alone; variables are filled in as in spec.metrics, without $window."""
    above: float | None = None
    """Passes while the reading is greater than this."""
    below: float | None = None
    """Passes while the reading is less than this."""
    at_least: float | None = None
    """Passes while the reading is this or greater."""
    at_most: float | None = None
    """Passes while the reading is this or less."""


class TlsSecret(Model):
    """A Secret with a certificate, in the rollout's own namespace. Only `tls.crt` of it is looked at."""

    name: ObjectName
    """Its name."""
    days_left: Annotated[int, Field(ge=0, le=3650)] = 14
    """How many days every certificate in it has to be valid at least."""


class BackupAge(Model):
    """A backup, and how old it may be."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "has(self.metric) != has(self.volumeSnapshot)",
                "one thing says how old the backup is; give either metric or volumeSnapshot",
            ),
        ),
    )

    metric: Name | None = None
    """A name from spec.metrics; it reads how old the last good backup is, in seconds."""
    volume_snapshot: VolumeSnapshot | None = None
    """A snapshot of the volume that the data is on."""
    max_age: PositiveDuration
    """How old it may be."""


class ResourceExists(Model):
    """An object in the rollout's own namespace."""

    api_version: ApiVersion
    """Its apiVersion."""
    kind: Kind
    """Its kind."""
    name: ObjectName
    """Its name."""


class EnvVars(Model):
    """The variables that the pod templates of old and of new must define, complete."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "(has(self.names) && self.names.size() > 0) || has(self.fromConfigMap)",
                "nothing says which variables; give names, fromConfigMap, or both",
            ),
        ),
    )

    names: Annotated[
        tuple[EnvName, ...], Field(max_length=MOST_VARIABLES, json_schema_extra={"x-kubernetes-list-type": "set"})
    ] = ()
    """Their names."""
    from_config_map: ObjectName | None = None
    """A ConfigMap in the rollout's own namespace, whose keys are such names."""
    containers: Annotated[
        tuple[_Container, ...], Field(max_length=8, json_schema_extra={"x-kubernetes-list-type": "set"})
    ] = ()
    """The containers that must define them; those of the pod template all together, where none is named."""


class Capacity(Model):
    """Nodes that are Ready and take new pods, and what each of them has to offer to pods at least, used or not."""

    nodes: Annotated[int, Field(ge=1, le=5000)] = 1
    """How many such nodes there have to be."""
    cpu: Quantity | None = None
    """Cores of each."""
    memory: Quantity | None = None
    """Memory of each."""
    disk: Quantity | None = None
    """Ephemeral storage of each: the disk that the kubelet gives to pods."""


class Attestation(Model):
    """What a person confirms, by name."""

    text: Annotated[str, Field(min_length=1, max_length=256)]
    """What is confirmed, in a sentence."""
    by: Persons | None = None
    """Who may; anybody who may annotate the rollout, unless given."""


class DayOneStep(Model):
    """One Job of day one."""

    job: JobSource
    """What is run; it ends well where the next one may begin."""
    budget: PositiveDuration = Field(default="30m", validate_default=True)
    """How long it may take; then it is stopped, and has failed."""
    severity: Severity = Severity.CRITICAL
    """What its failure leads to, as for a trigger. Critical: all goes back. High: back by a deadline, unless a person
    overrides it. Medium: a person decides. Low: it is told, and the next one begins."""


class DayOne(Model):
    """Jobs that run in this order once the run has begun, before any traffic moves and before the time of the first
    phase counts."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "has(self.backup) || has(self.migrate) || has(self.testSync)",
                "nothing says what day one is to do; give backup, migrate, testSync, or several of them",
            ),
        ),
    )

    backup: DayOneStep | None = None
    """Makes a backup of the data."""
    migrate: DayOneStep | None = None
    """Prepares the data for new."""
    test_sync: DayOneStep | None = None
    """Has new do a little of its work, for a test."""

    @property
    def steps(self) -> dict[Task, DayOneStep]:
        """What is given, in order."""
        every = {Task.BACKUP: self.backup, Task.MIGRATE: self.migrate, Task.TEST_SYNC: self.test_sync}
        return {task: step for task, step in every.items() if step is not None}


KINDS: Final = (
    "query",
    "job",
    "http",
    "tlsSecret",
    "backupAge",
    "resourceExists",
    "workloadReady",
    "envVars",
    "capacity",
    "attestation",
)
"""What a check may be, one each."""


class PreflightCheck(Model):
    """One line of the checklist."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                f"[{', '.join(f'has(self.{kind})' for kind in KINDS)}].filter(x, x).size() == 1",
                f"a check looks at one thing; give exactly one of {', '.join(KINDS[:-1])} and {KINDS[-1]}",
            ),
            rule(
                "!has(self.budget) || has(self.job)",
                "a budget is a matter of a Job; give the check a job, or leave budget out",
                fieldPath=".budget",
            ),
        ),
    )

    name: CheckName
    """Unique within the checklist."""
    group: CheckGroup
    """Code, Infrastructure, Documents, Team or Backups; for people."""
    description: Annotated[str, Field(max_length=256)] = ""
    """What it is about, for people."""
    query: CheckQuery | None = None
    """A reading of Prometheus."""
    job: JobSource | None = None
    """A Job that ends well, run once for each attempt at a revision; deleted after it has failed, it is run again."""
    budget: PositiveDuration | None = None
    """How long the Job may take; 15m unless given."""
    http: Probe | None = None
    """What a Service answers; that of spec.old where none is named."""
    tls_secret: TlsSecret | None = None
    """A certificate that stays valid for some time."""
    backup_age: BackupAge | None = None
    """A backup that is recent enough."""
    resource_exists: ResourceExists | None = None
    """An object that is there."""
    workload_ready: WorkloadRef | None = None
    """A workload whose replicas are all ready, and at least one."""
    env_vars: EnvVars | None = None
    """Variables that both pod templates define."""
    capacity: Capacity | None = None
    """Nodes that are large enough."""
    attestation: Attestation | None = None
    """What a person confirms, by the annotation syncrollout.io/attest-<name of the check>."""


class Preflight(Model):
    """The checklist, and what is done on day one. The run begins once all checks pass; from then on none is asked."""

    interval: PositiveDuration = Field(default="30s", validate_default=True)
    """How long what was found is taken as it was; then it is looked at again."""
    checks: Annotated[
        tuple[PreflightCheck, ...],
        Field(
            max_length=MOST_CHECKED,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ] = ()
    """The lines of the checklist."""
    day_one: DayOne | None = None
    """What is done once the run has begun, before any traffic moves."""


__all__ = [
    "CHECK",
    "KINDS",
    "MOST_CHECKED",
    "MOST_VARIABLES",
    "Attestation",
    "BackupAge",
    "Capacity",
    "CheckQuery",
    "DayOne",
    "DayOneStep",
    "EnvVars",
    "Persons",
    "Preflight",
    "PreflightCheck",
    "ResourceExists",
    "TlsSecret",
]
