"""The built-in messages in Japanese: for each event its title and its text, Markdown."""

from __future__ import annotations

from typing import Final

from syncrollout.api.words import MessageEvent

_RESULTS: Final = """\
{% for r in results %}
- {{ r.metric }}: {{ r.reading | default("データなし", true) }}\
{% if r.baseline %}(旧システム: {{ r.baseline }}{% if r.change %}、{{ r.change }}{% endif %}){% endif %} \
/ 基準: {{ r.limit }} → {{ r.said }}
{% endfor %}
"""
_WEIGHTS: Final = "- **現在の配分:** 新 {{ weight }}% / 旧 {{ old_weight }}%\n"
_NEXT: Final = """\
{% if next %}
- **次の予定:** {{ next }}{% if next_time %}({{ next_time }} 以降){% endif %}

{% endif %}
"""
_FOLLOW_UPS: Final = """\
{% if follow_ups %}

**今後のご連絡予定:**

{% for f in follow_ups %}
- {{ f.time }}: {{ f.about }}
{% endfor %}
{% endif %}
"""
_STATE: Final = (
    "- **現在の状態:** {{ state_said }}(新システムの割合 {{ weight_now }}%)\n- **状態の詳細:** {{ message }}\n"
)
_STEPS: Final = """\
{% if steps %}

**実施した手順:**

{% for s in steps %}
- {{ s.name }}: {{ s.state_said }}{% if s.message %} - {{ s.message }}{% endif %}

{% endfor %}
{% endif %}
{% if report %}

インシデントレポートは ConfigMap {{ report }} にあります: \
`kubectl syncrollout report-incident {{ name }} -n {{ namespace }}`
{% endif %}
"""
_ROLLBACK: Final = """\
- **判断日時:** {{ decided or time }}
- **原因:** {{ cause }}
- **影響範囲:** {{ scope | join("、") }}\
{% if from_phase %}(フェーズ {{ from_phase }}、新システムの割合 {{ from_weight }}% の時点){% endif %}

"""
_AGAINST: Final = "{% if results %}\n\n**基準を満たしていない項目:**\n\n" + _RESULTS + "{% endif %}\n"

TEXTS: Final[dict[MessageEvent, tuple[str, str]]] = {
    MessageEvent.STARTED: (
        "【{{ name }}】移行を開始しました",
        "{{ old }} から {{ new }} への移行を開始しました。\n\n"
        "- **開始日時:** {{ time }}\n"
        "- **予定期間:** 最短 {{ duration }}"
        "{% if earliest_end %}(完了は {{ earliest_end }} 以降の見込み){% endif %}\n\n"
        "- **対象:** 名前空間 {{ namespace }} の {{ scope | join('、') }}\n"
        + _WEIGHTS
        + _NEXT
        + """
**各フェーズの内容と利用者への影響:**

{% for p in phases %}
- {{ p.name }}: 新システム {{ p.weight }}%{% if p.start %}、{{ p.start }} から{% endif %}\
{% if p.duration %}、{{ p.duration }}{% endif %} - {{ p.effect }}\
{% if p.description %}。{{ p.description }}{% endif %}

{% endfor %}

**問題が発生した場合**は、すべての処理を {{ old }} に戻します。{% if on_trouble %}判断の基準は次のとおりです。

{% for t in on_trouble %}
- {{ t.severity_said }}: {{ t.if }}
{% endfor %}
{% endif %}
""",
    ),
    MessageEvent.PHASE_CHANGED: (
        "【{{ name }}】フェーズ {{ phase }} に移行しました",
        "{% if previous_phase %}フェーズ {{ previous_phase }} を終え、{% endif %}"
        "フェーズ {{ phase }} に移行しました。\n\n"
        "- **移行日時:** {{ time }}\n"
        + _WEIGHTS
        + "- **利用者への影響:** {{ effect }}\n"
        + _NEXT
        + "{% if results %}\n\n**前フェーズの結果(基準との比較):**\n\n"
        + _RESULTS
        + "{% endif %}\n",
    ),
    MessageEvent.COMPLETED: (
        "【{{ name }}】移行が完了しました",
        "{{ old }} から {{ new }} への移行が完了しました。\n\n"
        "- **完了日時:** {{ time }}\n"
        "{% if took %}\n- **所要期間:** {{ took }}({{ started }} 開始)\n{% endif %}\n"
        + _WEIGHTS
        + "{% if results %}\n\n**最終結果(旧システムとの比較を含む):**\n\n"
        + _RESULTS
        + "{% endif %}\n"
        "\n**今後の対応:** 数日間は新システムの監視を続け、切り戻しに必要なものを保持したうえで、"
        "文書を最新の状態に更新します。\n",
    ),
    MessageEvent.ROLLING_BACK: (
        "【{{ severity_said }}】【{{ name }}】切り戻しを開始しました",
        "すべての処理を {{ old }} に戻しています。\n\n" + _ROLLBACK + _STATE + _AGAINST + _FOLLOW_UPS,
    ),
    MessageEvent.ROLLED_BACK: (
        "【{{ severity_said }}】【{{ name }}】切り戻しが完了しました",
        "すべての処理が {{ old }} に戻りました。\n\n"
        + _ROLLBACK
        + "- **復旧日時:** {{ confirmed or time }}\n"
        + _STATE
        + _STEPS
        + _FOLLOW_UPS,
    ),
    MessageEvent.STEPPED_BACK: (
        "【{{ severity_said }}】【{{ name }}】フェーズ {{ phase }} に戻しました",
        "{% if previous_phase %}フェーズ {{ previous_phase }} から{% endif %}フェーズ {{ phase }} に戻しました。\n\n"
        "- **日時:** {{ time }}\n- **原因:** {{ text }}\n" + _WEIGHTS + _NEXT + _AGAINST,
    ),
    MessageEvent.HELD: (
        "【{{ severity_said }}】【{{ name }}】移行を保留しています{% if phase %}({{ phase }}){% endif %}",
        "移行を保留しています。自然には解消しないため、対応が必要です。\n\n"
        "- **保留開始:** {{ time }}\n- **理由:** {{ text }}\n"
        + _WEIGHTS
        + _AGAINST
        + "\n解消の条件は次のコマンドで確認"
        "できます: `kubectl syncrollout explain-decision {{ name }} -n {{ namespace }}`\n",
    ),
    MessageEvent.DECISION_NEEDED: (
        "【{{ severity_said }}】【{{ name }}】判断が必要です",
        "新システムに問題の兆候があります。\n\n"
        "- **発生日時:** {{ time }}\n- **内容:** {{ text }}\n"
        "{% if deadline %}\n- **判断の期限:** {{ deadline }}\n{% endif %}\n"
        + _WEIGHTS
        + _AGAINST
        + """
{% if severity == "High" %}
解消するか、担当者が続行を指示しない限り、期限に自動で切り戻します: \
`kubectl syncrollout override {{ name }} -n {{ namespace }} -m '...'`
{% else %}
続行する場合は `kubectl syncrollout decide {{ name }} continue -n {{ namespace }} -m '...'`、\
切り戻す場合は `decide {{ name }} rollback` を実行してください。
{% endif %}
""",
    ),
    MessageEvent.INCIDENT_ENDED: (
        "【{{ severity_said }}】【{{ name }}】判断待ちの問題は解消しました",
        "- **日時:** {{ time }}\n- **内容:** {{ text }}\n" + _WEIGHTS + _NEXT,
    ),
    MessageEvent.APPROVAL_REQUESTED: (
        "【{{ name }}】承認のお願い({{ phase }})",
        "フェーズ {{ phase }} はすべての基準を満たしました。次へ進むには承認が必要です。\n\n"
        "- **依頼日時:** {{ time }}\n- **承認者と手順:** {{ text }}\n"
        + _WEIGHTS
        + "{% if results %}\n\n**結果(基準との比較):**\n\n"
        + _RESULTS
        + "{% endif %}\n",
    ),
    MessageEvent.APPROVAL_REMINDER: (
        "【{{ severity_said }}】【{{ name }}】承認待ちです({{ phase }})",
        "フェーズ {{ phase }} の承認がまだ行われていません。承認され次第、次へ進みます。\n\n"
        "- **承認者と手順:** {{ text }}\n" + _WEIGHTS,
    ),
    MessageEvent.LOW_TRIGGER: (
        "【{{ name }}】お知らせ: 注意すべき値を検出しました",
        "- **日時:** {{ time }}\n- **内容:** {{ text }}\n" + _WEIGHTS + "\n自動での対応は行いません。\n",
    ),
    MessageEvent.DRILL_RESULT: (
        "{% if alarming %}【{{ severity_said }}】{% endif %}【{{ name }}】切り戻し訓練の結果",
        "- **日時:** {{ time }}\n- **結果:** {{ text }}\n- **フェーズ:** {{ phase }}\n" + _WEIGHTS,
    ),
    MessageEvent.FOLLOW_UP: (
        "【{{ name }}】{{ decided }} の切り戻しについて({{ about }})",
        "切り戻しについての続報({{ about }})です。現時点で判明している内容をお知らせします。\n\n"
        + _ROLLBACK
        + _STATE
        + _STEPS
        + _FOLLOW_UPS,
    ),
    MessageEvent.ESCALATED: (
        "【{{ severity_said }}】【{{ name }}】未対応の問題があります({{ level }})",
        "まだ誰も対応を開始していない問題があります({{ level }} への連絡です)。\n\n"
        "- **内容:** {{ text }}\n" + _STATE + "\n対応を開始したら、以降の連絡を止めるために次を実行してください: "
        "`{{ ack }}`\n",
    ),
}
