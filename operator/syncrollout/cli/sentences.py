"""What each reason means, and what would change it: one sentence each, for a person who sees it for the first time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from syncrollout.api.words import Reason


@dataclass(frozen=True, slots=True)
class Meaning:
    """`what` has happened or is the case; `change`: what would change it, empty where there is nothing to wait for."""

    what: str
    change: str = ""


_MEND = "It goes on by itself once that is mended; until then nothing moves forward."
_ITSELF = "It goes on by itself."
_BACK = "Nothing stops the way back; it ends once everything stands at old and the steps of the procedure have ended."
_AGAIN = "A retry, or another spec.revision, begins the next attempt at the first phase."
_TOLD = "Nothing waits for it."

MEANINGS: Final[dict[Reason, Meaning]] = {
    # the way forward
    Reason.WAITING_TO_START: Meaning("It has not begun yet.", "It begins with the operator's next look."),
    Reason.PREFLIGHT_RUNNING: Meaning(
        "What the first phase needs is looked at before anything moves.", "It begins once all of that is there."
    ),
    Reason.PREFLIGHT_INCOMPLETE: Meaning(
        "Something on the checklist of spec.preflight is missing, or nobody has confirmed it yet.",
        "It begins once every line passes; `kubectl syncrollout checklist` shows all of them.",
    ),
    Reason.ATTESTED: Meaning("A person has confirmed a line of the checklist, for one revision.", _TOLD),
    Reason.ATTESTATION_WITHDRAWN: Meaning(
        "The annotation by which a line of the checklist was confirmed has been taken away before the start.",
        "It has to be confirmed anew before the run begins.",
    ),
    Reason.DAY_ONE: Meaning(
        "The run has begun with what spec.preflight.dayOne asks for: backup, migration, test sync.",
        "Traffic moves, and the time of the phase counts, once the last of them has ended well.",
    ),
    Reason.JOB_STARTED: Meaning("A Job of day one has begun.", "The next one begins once it has ended well."),
    Reason.JOB_SUCCEEDED: Meaning("A Job of day one has ended well.", _ITSELF),
    Reason.JOB_FAILED: Meaning(
        "A Job that the operator runs has failed or used up its budget, and no rollback was under way.",
        "A line of the checklist waits until the Job is deleted; all others do what their severity says.",
    ),
    Reason.PHASE_STARTED: Meaning("A phase has begun: its weights are being set.", _ITSELF),
    Reason.MOVING_TRAFFIC: Meaning(
        "Weights, replicas or slots are being brought to what the phase says.",
        "The time of the phase counts once they stand.",
    ),
    Reason.VERIFYING: Meaning(
        "The weights stand, and traffic.verify has not seen traffic follow them yet.",
        "The time of the phase counts once the measured share agrees with the weight.",
    ),
    Reason.PHASE_RUNNING: Meaning(
        "The phase runs as it should.",
        "The next phase begins once the phase's duration is over and all its success criteria pass.",
    ),
    Reason.COMPLETED: Meaning("All phases are over: new has everything.", "Another spec.revision begins the next run."),
    Reason.WATCH_ENDED: Meaning("The watch after completion is over: no trigger sends anything back any more.", _TOLD),
    Reason.WAITING_FOR_DEPENDENCY: Meaning(
        "Another rollout goes first, by spec.dependsOn, and is not as far as it has to be.",
        "It begins once that one is: look at it, or take it out of spec.dependsOn.",
    ),
    Reason.WAITING_FOR_POOL: Meaning(
        "As many rollouts of its pool are in flight, or have waited longer, as the pool lets run at a time.",
        "It begins in its turn, once one of them has ended.",
    ),
    # standing still
    Reason.OUTSIDE_WINDOW: Meaning(
        "The next step is ready, and moves in the windows of spec.schedule alone. Going back asks no calendar.",
        "It goes on by itself when a window opens; NEXT says when.",
    ),
    Reason.FROZEN: Meaning(
        "The next step is ready, and a freeze of spec.schedule, or of the ConfigMap that it names, is on. Going back "
        "asks no calendar.",
        "It goes on by itself once the freeze is over and a window is open; NEXT says when.",
    ),
    Reason.CRITERIA_NOT_MET: Meaning(
        "The duration of the phase is over, and not all of its success criteria pass.",
        "It goes on once they all pass.",
    ),
    Reason.CRITERIA_UNKNOWN: Meaning(
        "A criterion cannot be judged, and without data nothing passes.",
        "It goes on once there is data and the criteria pass; lasting too long, it becomes an incident.",
    ),
    Reason.NEW_NOT_READY: Meaning(
        "New has not the ready replicas that it needs, and traffic is never sent to the dead.",
        "It goes on once new is ready: look at its pods.",
    ),
    Reason.OLD_NOT_READY: Meaning(
        "Old has not the ready replicas that it needs, and traffic is never sent to the dead.",
        "It goes on once old is ready: look at its pods.",
    ),
    Reason.ROUTER_DISOBEYS: Meaning(
        "The weights are written, and the traffic that is measured does not follow them.",
        "It goes on once the measured share agrees: look at the router's controller.",
    ),
    Reason.SHARE_UNKNOWN: Meaning(
        "It cannot be measured whether traffic follows the weights.",
        "It goes on once the query of traffic.verify gives a share that agrees.",
    ),
    Reason.PHASE_REMOVED: Meaning(
        "The phase that the run is in is gone from spec.phases.",
        "It goes on once a phase of that name is there again; a rollback is possible all the same.",
    ),
    Reason.TRAFFIC_ALREADY_AT_NEW: Meaning(
        "Before its first run new has more than the first phase gives it, and nothing is recorded of how it got there.",
        "It goes on from the status that belongs to it once that is restored, or begins once new has less.",
    ),
    Reason.TRIGGER_ALREADY_BREACHED: Meaning(
        "A trigger holds already before anything was moved, so that the run would go back at once.",
        "It begins once the trigger holds no more.",
    ),
    Reason.SUSPENDED: Meaning("spec.suspend is true: nothing moves forward.", "It goes on once suspend is removed."),
    Reason.HELD: Meaning(
        "A person holds the rollout where it is: nothing moves forward.",
        "It goes on once the hold is taken away: kubectl syncrollout resume.",
    ),
    Reason.APPROVAL_REQUESTED: Meaning(
        "Everything that the phase asks for is met, but for the approval of a person.",
        "It goes on once one of those who may has approved.",
    ),
    Reason.APPROVAL_REMINDER: Meaning(
        "An approval has been asked for and was not given for some time.",
        "The rollout goes on once one of those who may has approved.",
    ),
    Reason.APPROVED: Meaning("A person has approved that the phase ends, once all else is met.", _TOLD),
    Reason.APPROVAL_EXPIRED: Meaning(
        "An approval has become older than spec.approval.expires and counts no more.",
        "It has to be given anew before the phase ends.",
    ),
    Reason.PHASE_SKIPPED: Meaning(
        "A person has ended the time and the success criteria of a phase.",
        "Triggers, rollbackOn, incidents, approvals and the readiness of new count as ever.",
    ),
    Reason.RESUMED: Meaning("What held it has passed, and it goes on.", _ITSELF),
    Reason.ROLLBACK_DUE: Meaning(
        "An incident of severity High is open, and sends everything back by its deadline.",
        "It goes on if the incident clears before, or a person overrides it.",
    ),
    Reason.AWAITING_DECISION: Meaning(
        "An incident of severity Medium is open, and a person has to decide.",
        "It goes on, or back, as a person decides, or by rollback.medium.default at the deadline; it also goes on if "
        "the incident clears.",
    ),
    Reason.INCIDENT_CLEARED: Meaning("An incident is over: what was breached has been well for long enough.", _TOLD),
    Reason.INCIDENT_OVERRIDDEN: Meaning("A person has taken an incident upon himself, and the rollout goes on.", _TOLD),
    Reason.LOW_TRIGGER: Meaning("A trigger of severity Low holds; it is told and does nothing else.", _TOLD),
    Reason.CRITERION_IGNORED: Meaning(
        "A criterion has had no data for long enough to be ignored, as its onNoData says.", _TOLD
    ),
    Reason.RETRY_REQUESTED: Meaning("The next attempt was asked for.", "It begins with the operator's next looks."),
    Reason.REQUEST_IGNORED: Meaning("A person has asked for something that made no sense at that moment.", _TOLD),
    Reason.REPORT_RECEIVED: Meaning("Somebody has reported a problem that users see.", "An answer closes it."),
    Reason.REPORTS_ANSWERED: Meaning("What was reported has been answered and counts no more.", _TOLD),
    Reason.EMERGENCY_STOP: Meaning(
        "spec.emergencyStop is true: everything goes back to old, and nothing starts.",
        "Nothing starts before emergencyStop is removed.",
    ),
    Reason.MONITORING_NOT_APPLIED: Meaning(
        "Alerting rules or dashboards of the rollout could not be applied; it goes on without them.", _TOLD
    ),
    Reason.DRIFT_REPAIRED: Meaning("Somebody else had changed a weight, and it was set right.", _TOLD),
    Reason.SHARDS_RELEASED: Meaning(
        "Slots of work items were taken from one side, and are nobody's until it has let go.",
        "The other side is given them once no worker can hold them any more.",
    ),
    Reason.SHARDS_GRANTED: Meaning("Slots of work items were given to their new side.", _TOLD),
    Reason.HANDOVER_TIMED_OUT: Meaning(
        "Workers have not let go of their slots in time: on the way forward the slots were given back, on the way back "
        "new is stopped.",
        "On the way forward it is tried again after a while: look at the pods that are waited for.",
    ),
    # going back
    Reason.CRITERION_BREACHED: Meaning("A criterion of rollbackOn holds, so that everything goes back.", _BACK),
    Reason.TRIGGER_BREACHED: Meaning("A trigger holds, so that everything goes back.", _BACK),
    Reason.WITHOUT_DATA: Meaning(
        "A criterion has had no data for too long, and its onNoData says that everything goes back then.", _BACK
    ),
    Reason.INCIDENT_OVERDUE: Meaning("The deadline of an incident is over, so that everything goes back.", _BACK),
    Reason.PHASE_OVERDUE: Meaning("The phase has not passed by its deadline, so that everything goes back.", _BACK),
    Reason.ROLLBACK_REQUESTED: Meaning("A person has asked for everything to go back.", _BACK),
    Reason.STEPPED_BACK: Meaning("A phase has failed, and the run is in the phase before it again.", _ITSELF),
    Reason.NEW_DIED: Meaning(
        "New has no ready replicas left while it has traffic, so that everything goes back.", _BACK
    ),
    Reason.REVISION_REVERTED: Meaning("spec.revision was set back to the last good one: that is a rollback.", _BACK),
    Reason.REVISION_CHANGED: Meaning(
        "spec.revision has changed while a run was under way: that run goes back, and then the next begins.", _BACK
    ),
    Reason.DELETED: Meaning("The SyncRollout is being deleted, and traffic goes back to old first.", _BACK),
    Reason.STEP_STARTED: Meaning("A step of the rollback's procedure has begun.", _BACK),
    Reason.STEP_SUCCEEDED: Meaning("A step of the rollback's procedure has ended well.", _BACK),
    Reason.STEP_FAILED: Meaning(
        "A step of the rollback's procedure has failed.", "A person has to look at its output."
    ),
    Reason.STEP_SKIPPED: Meaning("A step of the rollback's procedure was not needed, or could not be risked.", _BACK),
    Reason.STEP_OVERRUN: Meaning(
        "A step of the rollback's procedure has taken longer than its budget.", "A person has to look at what it does."
    ),
    Reason.BACKUP_MISSING: Meaning(
        "There is no backup as spec.rollback.procedure.restore.backup asks for, and nothing is restored without it.",
        "A person has to see to the backup.",
    ),
    Reason.ROLLED_BACK: Meaning("The run was rolled back: old has everything.", _AGAIN),
    # drills
    Reason.DRILL_STARTED: Meaning("It is being tried whether a rollback would work; nothing is moved for it.", _TOLD),
    Reason.DRILLING: Meaning(
        "A live drill is under way: traffic goes to old for a while, or comes back from there.",
        "The phase goes on once its weights stand again and the drill has ended.",
    ),
    Reason.DRILL_AT_OLD: Meaning(
        "A live drill has brought everything to old.", "New gets it back once the drill's time is over."
    ),
    Reason.DRILL_PASSED: Meaning("The last drill says that a rollback would work.", _TOLD),
    Reason.DRILL_FAILED: Meaning(
        "The last drill says that a rollback would not work.", "Mend what it has found, and ask for a drill."
    ),
    Reason.DRILL_CUT_SHORT: Meaning("The last drill has ended before it could say anything.", "Ask for another drill."),
    Reason.DRILL_OVERDUE: Meaning("A drill that is due has not been done in time.", "Ask for a drill."),
    # what people are told
    Reason.ACKNOWLEDGED: Meaning("Somebody has taken the trouble upon himself, so that nobody else is called.", _TOLD),
    Reason.MESSAGES_DELIVERED: Meaning("What was to be told has been told."),
    Reason.MESSAGE_UNDELIVERED: Meaning(
        "A message did not arrive, or nobody knows whether it did; status.notifications says which, and why.",
        "Mend its channel; the next message takes it again.",
    ),
    # what a person must mend
    Reason.FREEZES_UNKNOWN: Meaning(
        "The freezes that spec.schedule.freezesFrom names cannot be read, so that nobody knows whether one is on.",
        _MEND,
    ),
    Reason.DEPENDENCY_CYCLE: Meaning(
        "Rollouts wait for each other by spec.dependsOn, so that none of them would ever begin.", _MEND
    ),
    Reason.INVALID_SPEC: Meaning("The spec cannot be carried out as it is.", _MEND),
    Reason.WORKLOAD_NOT_FOUND: Meaning("The workload of old or new does not exist.", _MEND),
    Reason.SERVICE_NOT_FOUND: Meaning("The Service of old or new does not exist.", _MEND),
    Reason.CRON_JOB_NOT_FOUND: Meaning("A CronJob that a criterion or a trigger names does not exist.", _MEND),
    Reason.ROUTE_NOT_FOUND: Meaning("A route of spec.traffic.routes does not exist.", _MEND),
    Reason.ROUTE_KIND_UNKNOWN: Meaning(
        "The operator does not know where a route of that kind keeps its weights.", _MEND
    ),
    Reason.ROUTE_NAMES_NOT_BOTH: Meaning("A route does not name both old and new.", _MEND),
    Reason.ROUTE_UNREADABLE: Meaning("The weights of a route cannot be read where they should stand.", _MEND),
    Reason.ROUTE_TAKEN: Meaning("Another SyncRollout moves the same route.", _MEND),
    Reason.CONFIG_MAP_TAKEN: Meaning("The ConfigMap of the shards is there and belongs to something else.", _MEND),
    Reason.ASSIGNMENT_INVALID: Meaning("The ConfigMap of the shards holds no assignment that can be read.", _MEND),
    Reason.EPOCH_AHEAD: Meaning(
        "A worker reports that it obeys a later assignment of slots than the latest that there is.", _MEND
    ),
    Reason.AUTOSCALED: Meaning("An autoscaler sets the replicas that the rollout would have to set.", _MEND),
    Reason.MIRROR_UNSUPPORTED: Meaning("A route cannot mirror requests, which a phase of mode Shadow needs.", _MEND),
    Reason.MIRROR_TAKEN: Meaning("A route mirrors requests already, by somebody else's doing.", _MEND),
    Reason.KIND_NOT_SERVED: Meaning("The cluster does not know a kind that the spec names.", _MEND),
    Reason.SECRET_INVALID: Meaning("A Secret that the spec names is not there, or lacks a key.", _MEND),
    Reason.PROMETHEUS_UNREACHABLE: Meaning("Prometheus does not answer, so that nothing can be judged.", _MEND),
    Reason.PROMETHEUS_REFUSED: Meaning("Prometheus refuses the credentials it was given.", _MEND),
    Reason.DESTINATION_REFUSED: Meaning("The spec names a host that this operator does not call.", _MEND),
    Reason.QUERY_INVALID: Meaning("Prometheus cannot read a query of the spec.", _MEND),
    Reason.TEMPLATE_INVALID: Meaning(
        "A template of messages cannot be filled in, or its ConfigMap is not there.", _MEND
    ),
    Reason.SERVICE_ACCOUNT_REQUIRED: Meaning(
        "It names no ServiceAccount in spec.serviceAccountName, which this operator asks of every rollout.", _MEND
    ),
    Reason.SERVICE_ACCOUNT_NOT_FOUND: Meaning(
        "The ServiceAccount that spec.serviceAccountName names is not there.", _MEND
    ),
    Reason.FORBIDDEN: Meaning("The operator, or the account it acts for, lacks a right.", _MEND),
    Reason.API_SERVER_FAILS: Meaning(
        "What was decided cannot be carried out, for the API server, or a webhook that it asks, does not take it.",
        "It is tried again, on the way back every two seconds at least, and goes on as soon as it is taken.",
    ),
}


def meaning(reason: Reason) -> Meaning:
    """Of a reason that a later release of the operator has written, only that this one does not know it."""
    return MEANINGS.get(reason) or Meaning(f"{reason} is a word of a later release than this plugin: update it.")


__all__ = ["MEANINGS", "Meaning", "meaning"]
