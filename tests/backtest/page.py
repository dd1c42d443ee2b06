"""The run that docs/backtest.md quotes: made by the command, on a real Prometheus with the history of `plan.py`.

    PYTHONPATH=tests:. uv run python -m backtest.page

writes it into the page; `test_on_prometheus.py` compares.
"""

from __future__ import annotations

import contextlib
import io
import re
import tempfile
from pathlib import Path

from backtest.plan import ROLLOUT, history, minute
from syncrollout.cli.plugin import main
from testbed import Prometheus, build
from testbed.prometheus import openmetrics

PAGE = Path(__file__).parents[2] / "docs" / "backtest.md"
_QUOTED = re.compile(r"(?<=<!-- run -->\n).*(?=<!-- end of run -->)", re.DOTALL)
_COMMAND = (
    "$ kubectl syncrollout backtest -f rollout.yaml -n slow --from 2025-03-03T09:00:00Z --to 2025-03-03T13:50:00Z"
)


def quoted(text: str) -> str:
    """What the page quotes."""
    found = _QUOTED.search(text)
    assert found is not None
    return found.group()


def run(prometheus: Prometheus, folder: Path) -> str:
    """The run as it is quoted: the address as the spec has it, and no measured time."""
    file = folder / "rollout.yaml"
    file.write_text(ROLLOUT)
    printed = io.StringIO()
    arguments = ["-f", str(file), "-n", "slow", "--from", minute(0), "--to", minute(290)]
    with contextlib.redirect_stdout(printed):
        code = main(["backtest", *arguments, "--prometheus", prometheus.address])
    text = printed.getvalue().replace(prometheus.address, "http://prometheus.monitoring:9090")
    text = re.sub(r"looks, [0-9.]+ s$", "looks, 0.1 s", text, flags=re.MULTILINE)
    return f"```\n{_COMMAND}\n{text}$ echo $?\n{code}\n```\n"


def _write() -> None:
    build.ensure("prometheus", "promtool")
    with tempfile.TemporaryDirectory() as folder, Prometheus(Path(folder), history=openmetrics(history())) as started:
        text = run(started, Path(folder))
    PAGE.write_text(_QUOTED.sub(lambda _: text, PAGE.read_text()))


if __name__ == "__main__":
    _write()
