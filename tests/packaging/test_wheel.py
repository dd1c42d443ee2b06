"""The wheel as a worker's image gets it: alone, without one dependency."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from email.parser import HeaderParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EPOCH = "315532800"
Run = Callable[..., subprocess.CompletedProcess[str]]

WORKER = """
import sys
from pathlib import Path
from syncrollout.shards import Assignment, NotOwned, Shards, metrics, slot

file = Path(sys.argv[1])
file.write_text('{"protocol":1,"epoch":7,"newBelow":100,"oldFrom":100,"mode":"live","stop":false}')
shards = Shards("old", file, uid="1-2")
done = []
for key in map(str, range(1000)):
    try:
        with shards.item(key):
            done.append(key)
    except NotOwned:
        assert slot(key) < 100
assert 850 < len(done) < 950, len(done)
assert 'syncrollout_shards_epoch{uid="1-2"} 7' in metrics(shards)
foreign = {name.partition(".")[0] for name in sys.modules} - set(sys.stdlib_module_names)
print(*sorted(foreign - {"__main__", "sitecustomize", "usercustomize"}))  # the last two are the interpreter's own
"""


VERBS = """
import sys
from contextlib import redirect_stdout
from importlib.metadata import distributions
from io import StringIO
from syncrollout.cli.plugin import app, main

verbs = [each.name or each.callback.__name__.replace("_", "-") for each in app.registered_commands]
for verb in verbs:
    said = StringIO()
    with redirect_stdout(said):
        code = main([verb, "--help"])
    assert code == 0 and "Usage: kubectl syncrollout " + verb in said.getvalue(), (verb, code, said.getvalue())
assert main(["validate", "-f", sys.argv[1]]) == 0
print(len(verbs), *sorted(each.metadata["Name"].lower() for each in distributions()))
"""


def _uv(*arguments: str | Path, **more: str) -> None:
    uv = os.environ.get("UV") or shutil.which("uv") or str(ROOT / ".cache" / "uv" / "bin" / "uv")
    command, env = [uv, *map(str, arguments)], {**os.environ, **more}
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"uv {arguments}: {done.stderr}"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the sources; its build backend is in uv's cache since the environment of these tests was made."""
    folder = tmp_path_factory.mktemp("wheel")
    _uv("build", "--wheel", "--offline", "--quiet", "--out-dir", folder, ROOT, SOURCE_DATE_EPOCH=EPOCH)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def alone(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs Python, or a program of the wheel, in a fresh environment that has the wheel and nothing else."""
    folder = tmp_path_factory.mktemp("alone")
    _uv("venv", "--quiet", "--offline", "--python", sys.executable, folder / "venv")
    # with dependencies, from no index: there are none to be had, and none are asked for
    _uv("pip", "install", "--quiet", "--offline", "--no-index", "--python", folder / "venv", wheel)

    def run(program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [str(folder / "venv" / "bin" / program), *map(str, arguments)]
        clean = {"PATH": os.defpath, "HOME": str(folder)}
        return subprocess.run(command, cwd=folder, env=clean, capture_output=True, text=True, timeout=60, check=False)

    return run


def test_a_worker_uses_the_client_without_any_dependency(alone: Run, tmp_path: Path) -> None:
    done = alone("python", "-c", WORKER, tmp_path / "SYNCROLLOUT_SHARDS")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["syncrollout"]


@pytest.mark.parametrize("command", [["syncrollout", "run"], ["python", "-m", "syncrollout", "run"]])
def test_the_operator_without_its_extra_says_what_to_install(alone: Run, command: list[str]) -> None:
    done = alone(*command)
    assert done.returncode == 2
    assert "pip install 'syncrollout[operator]'" in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_plugin_without_its_extra_says_what_to_install(alone: Run) -> None:
    done = alone("kubectl-syncrollout", "backtest")
    assert done.returncode == 1, "2 and 3 are answers of a backtest"
    assert "pip install 'syncrollout[kubectl]'" in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_plugin_runs_without_the_operators_weight(tmp_path: Path) -> None:
    """As pipx installs it: the wheel, what its extra asks for, and nothing else; all of it from the lock file."""
    at = tmp_path / "venv"
    asked = ("--frozen", "--offline", "--quiet", "--no-default-groups", "--no-editable", "--extra", "kubectl")
    _uv("sync", *asked, "--python", sys.executable, UV_PROJECT_ENVIRONMENT=str(at))
    programs = {path.name for path in (at / "bin").iterdir()}
    assert {"kubectl-syncrollout", "kubectl_complete-syncrollout"} <= programs
    flagship = ROOT / "manifests" / "examples" / "listing-sync" / "20-syncrollout.yaml"
    command = [str(at / "bin" / "python"), "-c", VERBS, str(flagship)]
    clean = {"PATH": os.defpath, "HOME": str(tmp_path)}
    done = subprocess.run(command, env=clean, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    verbs, *installed = done.stdout.splitlines()[-1].split()
    assert int(verbs) > 25
    assert not {"aiohttp", "apprise", "kopf", "kubernetes", "prometheus-client", "requests"} & set(installed)
    (packages,) = at.glob("lib/python*/site-packages")
    size = sum(path.stat().st_size for path in packages.rglob("*") if path.is_file() and path.suffix != ".pyc") / 1e6
    print(f"the plugin: {len(installed)} distributions, {size:.0f} MB")
    assert len(installed) <= 25
    assert size < 40


def test_the_sdist_builds_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    _uv("build", "--sdist", "--offline", "--quiet", "--out-dir", tmp_path, ROOT)
    (sdist,) = tmp_path.glob("*.tar.gz")
    _uv("build", "--wheel", "--offline", "--quiet", "--out-dir", tmp_path, sdist, SOURCE_DATE_EPOCH=EPOCH)
    assert (tmp_path / wheel.name).read_bytes() == wheel.read_bytes()
    with tarfile.open(sdist) as opened:
        tops = {name.split("/")[1] for name in opened.getnames()}
    assert tops == {
        ".gitignore",
        "CHANGELOG.md",
        "LICENSE",
        "PKG-INFO",
        "README.md",
        "crds",
        "operator",
        "pyproject.toml",
    }


def test_the_metadata_is_complete(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        (metadata,) = (name for name in opened.namelist() if name.endswith(".dist-info/METADATA"))
        headers = HeaderParser().parsestr(opened.read(metadata).decode())
        assert any(name.endswith(".dist-info/licenses/LICENSE") for name in opened.namelist())
    assert headers["License-Expression"] == "Apache-2.0"
    assert headers["Description-Content-Type"] == "text/markdown"
    assert str(headers.get_payload()).startswith("# SyncRollout\n")
    assert headers["Summary"]
    assert headers["Requires-Python"] == ">=3.11"
    assert "Typing :: Typed" in headers.get_all("Classifier", [])
    assert headers.get_all("Project-URL") is None, "there is no address that is known to be real"


def test_the_wheel_is_typed_and_asks_for_dependencies_by_the_extra_only(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        assert "syncrollout/py.typed" in opened.namelist()
        (metadata,) = (name for name in opened.namelist() if name.endswith(".dist-info/METADATA"))
        headers = HeaderParser().parsestr(opened.read(metadata).decode())
    asked = headers.get_all("Requires-Dist", [])
    assert any(each.startswith("kopf") for each in asked)
    of_extras = ("extra == 'operator'", "extra == 'kubectl'")
    assert [each for each in asked if not each.endswith(of_extras)] == []


def test_the_page_that_the_operator_serves_is_in_the_wheel_whole(wheel: Path) -> None:
    static = ROOT / "operator" / "syncrollout" / "ui" / "static"
    files = [path for path in static.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".html", ".css", ".js", ".svg"}
    with zipfile.ZipFile(wheel) as opened:
        for path in files:
            assert opened.read(f"syncrollout/ui/static/{path.relative_to(static)}") == path.read_bytes(), path
