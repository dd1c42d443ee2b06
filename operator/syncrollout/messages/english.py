"""The built-in messages in English: for each event its title and its text, Markdown."""

from __future__ import annotations

from typing import Final

from syncrollout.api.words import MessageEvent

_RESULTS: Final = """\
{% for r in results %}
- {{ r.metric }}: {{ r.reading | default("no data", true) }}\
{% if r.baseline %} (old: {{ r.baseline }}{% if r.change %}, {{ r.change }}{% endif %}){% endif %}, \
{{ r.limit }}: {{ r.said }}
{% endfor %}
"""
_WEIGHTS: Final = "- **Weights:** new {{ weight }} %, old {{ old_weight }} %\n"
_NEXT: Final = """\
{% if next %}
- **Next:** {{ next }}{% if next_time %}, not before {{ next_time }}{% endif %}

{% endif %}
"""
_FOLLOW_UPS: Final = """\
{% if follow_ups %}

**You will hear more:**

{% for f in follow_ups %}
- {{ f.time }}: {{ f.about }}
{% endfor %}
{% endif %}
"""
_STATE: Final = "- **Present state:** {{ state }}, new has {{ weight_now }} %: {{ message }}\n"
_STEPS: Final = """\
{% if steps %}

**Steps:**

{% for s in steps %}
- {{ s.name }}: {{ s.state }}{% if s.message %} - {{ s.message }}{% endif %}

{% endfor %}
{% endif %}
{% if report %}

The incident report is in ConfigMap {{ report }}: `kubectl syncrollout report-incident {{ name }} -n {{ namespace }}`.
{% endif %}
"""
_ROLLBACK: Final = """\
- **Decided:** {{ decided or time }}
- **Cause:** {{ cause }}
- **Scope:** {{ scope | join(", ") }}\
{% if from_phase %}; new had {{ from_weight }} % in phase {{ from_phase }}{% endif %}

"""
_AGAINST: Final = "{% if results %}\n\n**What speaks against new:**\n\n" + _RESULTS + "{% endif %}\n"

TEXTS: Final[dict[MessageEvent, tuple[str, str]]] = {
    MessageEvent.STARTED: (
        "{{ name }}: the migration has started",
        "The migration from {{ old }} to {{ new }} has started.\n\n"
        "- **When:** {{ time }}\n"
        "- **How long:** {{ duration }} at least{% if earliest_end %}, so not before {{ earliest_end }}{% endif %}\n\n"
        "- **Scope:** {{ scope | join(', ') }} in namespace {{ namespace }}\n"
        + _WEIGHTS
        + _NEXT
        + """
**Phases, and what users notice:**

{% for p in phases %}
- {{ p.name }}: {{ p.weight }} %{% if p.start %}, from {{ p.start }}{% endif %}\
{% if p.duration %}, {{ p.duration }}{% endif %} - {{ p.effect }}\
{% if p.description %}. {{ p.description }}{% endif %}

{% endfor %}

**On trouble** all of the work goes back to {{ old }}{% if on_trouble %}. What is watched for throughout:

{% for t in on_trouble %}
- {{ t.severity }}: {{ t.if }}
{% endfor %}
{% else %}.
{% endif %}
""",
    ),
    MessageEvent.PHASE_CHANGED: (
        "{{ name }}: phase {{ phase }} has begun",
        "Phase {{ phase }} has begun{% if previous_phase %} after {{ previous_phase }}{% endif %}.\n\n"
        "- **When:** {{ time }}\n"
        + _WEIGHTS
        + "- **Users notice:** {{ effect }}\n"
        + _NEXT
        + "{% if results %}\n\n**Results of the phase before, against its criteria:**\n\n"
        + _RESULTS
        + "{% endif %}\n",
    ),
    MessageEvent.COMPLETED: (
        "{{ name }}: the migration is complete",
        "{{ new }} has taken over from {{ old }}.\n\n"
        "- **When:** {{ time }}\n"
        "{% if took %}\n- **It took:** {{ took }}, since {{ started }}\n{% endif %}\n"
        + _WEIGHTS
        + "{% if results %}\n\n**Final results, against the old system where that was compared:**\n\n"
        + _RESULTS
        + "{% endif %}\n"
        "\n**What follows:** watch new for some days, keep what is needed to go back, and bring the documents "
        "up to date.\n",
    ),
    MessageEvent.ROLLING_BACK: (
        "[{{ severity }}] {{ name }}: rolling back",
        "All of the work goes back to {{ old }}.\n\n" + _ROLLBACK + _STATE + _AGAINST + _FOLLOW_UPS,
    ),
    MessageEvent.ROLLED_BACK: (
        "[{{ severity }}] {{ name }}: rolled back",
        "All of the work is back at {{ old }}.\n\n"
        + _ROLLBACK
        + "- **Back since:** {{ confirmed or time }}\n"
        + _STATE
        + _STEPS
        + _FOLLOW_UPS,
    ),
    MessageEvent.STEPPED_BACK: (
        "[{{ severity }}] {{ name }}: back to phase {{ phase }}",
        "A step back to phase {{ phase }}{% if previous_phase %} from {{ previous_phase }}{% endif %}.\n\n"
        "- **When:** {{ time }}\n- **Cause:** {{ text }}\n" + _WEIGHTS + _NEXT + _AGAINST,
    ),
    MessageEvent.HELD: (
        "[{{ severity }}] {{ name }}: held in {{ phase | default('the beginning', true) }}",
        "The rollout waits, and that does not pass by itself.\n\n"
        "- **Since:** {{ time }}\n- **Why:** {{ text }}\n" + _WEIGHTS + _AGAINST + "\nWhat would change it: "
        "`kubectl syncrollout explain-decision {{ name }} -n {{ namespace }}`.\n",
    ),
    MessageEvent.DECISION_NEEDED: (
        "[{{ severity }}] {{ name }}: a decision is needed",
        "Something speaks against new.\n\n"
        "- **Since:** {{ time }}\n- **What:** {{ text }}\n"
        "{% if deadline %}\n- **Decide by:** {{ deadline }}\n{% endif %}\n"
        + _WEIGHTS
        + _AGAINST
        + """
{% if severity == "High" %}
It goes back by itself unless it clears or somebody overrides it: \
`kubectl syncrollout override {{ name }} -n {{ namespace }} -m '...'`.
{% else %}
Decide: `kubectl syncrollout decide {{ name }} continue -n {{ namespace }} -m '...'`, or `decide {{ name }} rollback`.
{% endif %}
""",
    ),
    MessageEvent.INCIDENT_ENDED: (
        "[{{ severity }}] {{ name }}: nothing has to be decided any more",
        "- **When:** {{ time }}\n- **What:** {{ text }}\n" + _WEIGHTS + _NEXT,
    ),
    MessageEvent.APPROVAL_REQUESTED: (
        "{{ name }}: an approval is needed for {{ phase }}",
        "Phase {{ phase }} has met all that was asked, and may end once it is approved.\n\n"
        "- **Since:** {{ time }}\n- **Who may:** {{ text }}\n"
        + _WEIGHTS
        + "{% if results %}\n\n**Results against its criteria:**\n\n"
        + _RESULTS
        + "{% endif %}\n",
    ),
    MessageEvent.APPROVAL_REMINDER: (
        "[{{ severity }}] {{ name }}: still waiting for an approval for {{ phase }}",
        "Nobody has approved phase {{ phase }} yet; the rollout waits for nothing else.\n\n"
        "- **Who may:** {{ text }}\n" + _WEIGHTS,
    ),
    MessageEvent.LOW_TRIGGER: (
        "{{ name }}: {{ text }}",
        "- **When:** {{ time }}\n- **What:** {{ text }}\n" + _WEIGHTS + "\nNothing is done about it.\n",
    ),
    MessageEvent.DRILL_RESULT: (
        "{% if alarming %}[{{ severity }}] {% endif %}{{ name }}: a drill of the rollback has ended",
        "- **When:** {{ time }}\n- **Result:** {{ text }}\n- **Phase:** {{ phase }}\n" + _WEIGHTS,
    ),
    MessageEvent.FOLLOW_UP: (
        "{{ name }}: rollback of {{ decided }}, {{ about }}",
        "Follow-up of the rollback ({{ about }}): what is known by now.\n\n"
        + _ROLLBACK
        + _STATE
        + _STEPS
        + _FOLLOW_UPS,
    ),
    MessageEvent.ESCALATED: (
        "[{{ severity }}] {{ name }}: nobody has answered ({{ level }})",
        "Trouble that nobody has acknowledged; this is {{ level }}.\n\n"
        "- **What:** {{ text }}\n" + _STATE + "\nAcknowledge it, so that nobody else is called: `{{ ack }}`.\n",
    ),
}
