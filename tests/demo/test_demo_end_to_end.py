"""The demo as a person runs it: real parts, the real operator, and an exit code that can be believed."""

from __future__ import annotations

import base64
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

pytestmark = [pytest.mark.dataplane, pytest.mark.own_cluster]
ROOT = Path(__file__).parents[2]
DEADLINE = 300
FAULTS = ("crash", "dataloss")
WHOLE = r"(4\d\d) rows, each of the \1 listings once and as it must be"


TOKEN = "planted-token-of-the-demo"  # noqa: S105 - it is to be found nowhere
"""Of `demo/manifests/systems.yaml`."""
Run = Callable[[], tuple[int, str]]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Where the runs with a fault leave what they write, by fault."""
    return {fault: tmp_path_factory.mktemp(fault) / "run" for fault in FAULTS}


@pytest.fixture(scope="module")
def runs(kept: dict[str, Path]) -> Iterator[dict[str, Run]]:
    """The demo without a fault and with two, beside one another: each waits for its clock most of the time. What it
    came to, by fault."""
    with ThreadPoolExecutor(max_workers=len(FAULTS) + 1) as pool:
        begun = {"": pool.submit(_run)}
        for fault in FAULTS:
            begun[fault] = pool.submit(_run, "--fault", fault, "--run-dir", str(kept[fault]))
        yield {fault: each.result for fault, each in begun.items()}


def _run(*arguments: str) -> tuple[int, str]:
    """Exit code and output. Not a terminal, hence plain lines."""
    environment = {name: value for name, value in os.environ.items() if name not in {"CLUSTER", "KUBECONFIG"}}
    process = subprocess.Popen(
        [sys.executable, "-m", "demo", *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=DEADLINE)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=30)
        pytest.fail(f"the demo was still running after {DEADLINE} s:\n{output}")
    return process.returncode, output


def _summary(output: str) -> list[tuple[str, str]]:
    lines = output.partition("\nsummary\n")[2].splitlines()
    return [(line[2:].partition("  ")[0], line.rpartition("  ")[2]) for line in lines if line.startswith("  ")]


def test_the_demo_migrates_in_five_phases_and_no_request_fails(runs: dict[str, Run]) -> None:
    code, output = runs[""]()
    assert code == 0, output
    assert "\x1b" not in output
    phases = ["parallel-run", "small-traffic", "medium-traffic", "full-traffic", "full-migration"]
    seen = re.findall(r"state +\w+ ([\w-]+):", output)
    assert list(dict.fromkeys(seen)) == phases, output
    weights = [int(number) for number in re.findall(r"weight +(\d+) % of new", output)]
    assert weights == [0, 10, 50, 100], output
    summary = _summary(output)
    assert ("failed requests", "0") in summary, output
    shares = [
        float(re.findall(r"measured ([\d.]+) %", value)[0]) for label, value in summary if label.startswith("weight")
    ]
    assert len(shares) == 4
    assert shares[0] == 0.0
    assert 5.0 < shares[1] < 15.0
    assert 40.0 < shares[2] < 60.0
    assert shares[3] == 100.0
    items = [value for label, value in dict(summary).items() if label.startswith("slots below")]
    parts = [float(re.findall(r"measured ([\d.]+) %", value)[0]) for value in items]
    assert len(parts) == 4
    assert parts[0] == 0.0
    assert 7.0 < parts[1] < 16.0, "by the keys' slots: about a tenth, and the same tenth in every run"
    assert 42.0 < parts[2] < 64.0
    assert parts[3] == 100.0
    assert int(re.findall(r"and (\d+) rehearsed", items[0])[0]) > 400, "new rehearsed all items in the shadow"
    for label in ("handled by both at once", "changed hands too often", "handled by nobody"):
        assert re.fullmatch(r"0 of 4\d\d keys", dict(summary)[label]), output
    assert re.fullmatch(WHOLE, dict(summary)["database against the sheet"]), output
    assert re.search(r"verdict +Pass: Success agreement at least 99 percent; reads 100 percent", output), output
    assert len(re.findall(r"event +Normal +ShardsGranted", output)) == 3, output


def test_the_demo_with_a_crash_goes_back_to_old(runs: dict[str, Run]) -> None:
    code, output = runs["crash"]()
    assert code == 0, output
    assert re.search(r"state +RolledBack medium-traffic", output), output
    summary = dict(_summary(output))
    assert summary["failed later"] == "0", output
    reaction = re.fullmatch(
        r"([\d.]+) s after the fault was (?:visible|injected)", summary["weight 0 at the API server"]
    )
    assert reaction is not None, output
    assert float(reaction[1]) < 10.0
    assert re.search(r"HandoverTimedOut: .* new did not let go of its slots within 5s and is stopped", output), output
    for label in ("handled by both at once", "changed hands too often", "handled by nobody"):
        assert re.fullmatch(r"0 of 4\d\d keys", summary[label]), output
    assert "all items back at old" in summary
    assert summary["VerifyData"].endswith("no damage: 0 lost, 0 doubled, 0 changed"), output
    assert summary["Restore"].startswith("Skipped: "), output
    assert re.fullmatch(WHOLE, summary["database against the sheet"]), output


def test_the_demo_with_a_loss_of_data_goes_back_and_mends_every_row(runs: dict[str, Run]) -> None:
    code, output = runs["dataloss"]()
    assert code == 0, output
    assert re.search(r"state +RolledBack medium-traffic", output), output
    summary = dict(_summary(output))
    damage = re.search(r"damage: (\d+) lost, (\d+) doubled, (\d+) changed, of 4\d\d listings", summary["VerifyData"])
    assert damage is not None, output
    assert int(damage[1]) > 20
    assert min(int(damage[2]), int(damage[3])) > 5
    restored = re.search(r"restored (\d+) of \d+ listings, \d+ rows of listing-sync-v2 taken out", summary["Restore"])
    assert restored is not None, output
    assert int(restored[1]) >= sum(int(number) for number in damage.groups())
    assert re.search(r"progress \d+% \d+ of \d+ listings", output), output
    for step in ("Switch", "Restore", "VerifyAgain", "VerifySystem", "Evidence"):
        assert re.match(r"Succeeded after [\d.]+ s of \d+ s", summary[step]), output
    for label in ("handled by both at once", "changed hands too often", "handled by nobody"):
        assert re.fullmatch(r"0 of 4\d\d keys", summary[label]), "new has handled what it lost: it says so itself"
    assert re.fullmatch(WHOLE, summary["database against the sheet"]), output


def test_no_secret_is_in_anything_that_the_demo_has_written(runs: dict[str, Run], kept: dict[str, Path]) -> None:
    for fault, folder in kept.items():
        _, output = runs[fault]()
        written = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
        where = [name for name, path in written.items() if _shows(path.read_bytes())]
        assert all("etcd" in name for name in where), where
        assert where, "it was in the API server's own store"
        assert not _shows(output.encode())
        logs = [name for name in written if name.endswith(".log")]
        assert len(logs) > 5, logs
        assert any(b'"secrets"' in path.read_bytes() for path in written.values()), "it was asked for"


def _shows(text: bytes) -> bool:
    plain = TOKEN.encode()
    return any(form in text for form in (plain, base64.b64encode(plain).rstrip(b"="), plain.removeprefix(b"planted-")))
