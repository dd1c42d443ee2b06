"""Words of Japanese messages that are put together by the code."""

from __future__ import annotations

from typing import Final

ABOUT: Final = {
    "FirstCause": "原因の第一報",
    "DetailedCause": "原因の詳報",
    "WhatHappened": "発生事象のご報告",
    "NextSteps": "影響範囲と今後の対応",
    "Report": "最終報告",
}
EFFECTS: Final = {
    "shadow": "影響なし(新システムは複製データで動作し、結果は比較のみに使われます)",
    "none": "影響なし(すべて旧システムが処理します)",
    "share": "全体の約{weight}%を新システムが処理します",
    "all": "すべて新システムが処理します(旧システムは待機)",
    "retired": "すべて新システムが処理します(旧システムは停止)",
}
COMPARISONS: Final = {"above": "超", "below": "未満", "at least": "以上", "at most": "以下"}
LIMITS: Final = {"firing": "発報中", "has to end well": "正常終了すること", "has failed": "失敗"}
UNITS: Final = {"percent": "%", "seconds": "秒", "times old": "倍(旧システム比)", "reports": "件", "minutes": "分"}
VERDICTS: Final = {"Pass": "適合", "Fail": "不適合", "Unknown": "判定不能"}
SEVERITIES: Final = {"Critical": "緊急", "High": "重大", "Medium": "注意", "Low": "情報"}
STATES: Final = {
    "Pending": "開始待ち",
    "Preflight": "事前確認中",
    "Progressing": "進行中",
    "Holding": "保留中",
    "AwaitingApproval": "承認待ち",
    "Paused": "一時停止中",
    "RollingBack": "切り戻し中",
    "RolledBack": "切り戻し完了",
    "Completed": "完了",
    "Waiting": "未着手",
    "Running": "実行中",
    "Succeeded": "成功",
    "Failed": "失敗",
    "Skipped": "省略",
    "Overrun": "時間超過",
}
DURATIONS: Final = {"d": "日", "h": "時間", "m": "分", "s": "秒"}
