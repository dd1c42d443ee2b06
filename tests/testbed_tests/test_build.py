"""Getting the programs: once, whole or not at all, and with a sentence when it is impossible."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from testbed import BuildFailed, build, cache, eventually, gotool, pypi
from testbed.crds import Definitions

_SOURCE_ROOT = str(Path(__file__).resolve().parents[1])


@pytest.fixture
def empty_cache(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test's own."""
    monkeypatch.setenv("SYNCROLLOUT_CACHE", str(run_dir / "cache"))
    return run_dir / "cache"


def test_a_failed_build_leaves_nothing_behind(empty_cache: Path) -> None:
    def make(into: Path) -> None:
        (into / "half").write_text("half")
        raise BuildFailed("no more disk")

    with pytest.raises(BuildFailed):
        cache.fill("thing-1", make)
    assert [path.name for path in empty_cache.iterdir()] == [".thing-1.lock"]


def test_what_a_killed_run_left_is_cleared(empty_cache: Path) -> None:
    (empty_cache / ".thing-1.abcdef").mkdir(parents=True)
    cache.fill("thing-1", lambda into: (into / "program").touch())
    assert sorted(path.name for path in empty_cache.iterdir()) == [".thing-1.lock", "thing-1"]


def test_a_build_that_is_told_to_end_ends_its_compiler(run_dir: Path) -> None:
    go = run_dir / "go"
    # stands for a long compilation; it answers the question for its version like Go
    go.write_text(f"#!/bin/sh\n[ $1 = env ] && echo go9.9.9 && exit\necho $$ > {run_dir}/pid\nexec sleep 60\n")
    go.chmod(0o755)
    env = {
        **os.environ,
        "PATH": f"{run_dir}:{os.environ['PATH']}",
        "PYTHONPATH": _SOURCE_ROOT,
        "SYNCROLLOUT_CACHE": str(run_dir / "cache"),
    }
    with subprocess.Popen([sys.executable, "-m", "testbed.build", "kwok"], env=env, stderr=subprocess.DEVNULL) as run:
        compiler = int(eventually(lambda: (run_dir / "pid").read_text().strip(), what="the compiler to start"))
        run.terminate()
        assert run.wait(10) == 143
    assert not Path(f"/proc/{compiler}").exists()
    assert [path.name for path in (run_dir / "cache").iterdir()] == [f".{build.PARTS['kwok'].key()}.lock"]


def test_two_runs_at_once_build_once(empty_cache: Path, run_dir: Path) -> None:
    script = f"""
import time
from pathlib import Path
from testbed import cache
def make(into):
    with open({str(run_dir / "made")!r}, "a") as made:
        made.write("once ")
    time.sleep(0.5)
    (into / "program").write_text("ready")
print((cache.fill("thing-1", make) / "program").read_text())
"""
    env = {**os.environ, "PYTHONPATH": _SOURCE_ROOT}
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", script], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    outputs = [run.communicate(timeout=30) for run in runs]
    assert [out for out, _ in outputs] == ["ready\n"] * 2
    assert (run_dir / "made").read_text() == "once "
    assert "another run is building thing-1" in outputs[0][1] + outputs[1][1]


def test_without_network_a_build_says_so_in_one_sentence(
    empty_cache: Path, run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gotool.go()  # found before PATH and proxy are made useless
    # nothing listens on port 1
    monkeypatch.setenv("GOPROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("GOMODCACHE", str(run_dir / "modules"))
    with pytest.raises(
        BuildFailed, match=r"cannot build KWOK .*: the Go module proxy is out of reach; check the network"
    ):
        build.ensure("kwok")


def test_a_package_that_cannot_be_fetched_names_the_ways_tried(run_dir: Path) -> None:
    with pytest.raises(
        BuildFailed, match=r"cannot fetch /no/such/place\.whl from the Python package index \(`.*uv pip`:"
    ):
        pypi.unpack("/no/such/place.whl", run_dir)


def test_an_old_prometheus_on_path_is_not_used(
    empty_cache: Path, run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = run_dir / "prometheus"
    monkeypatch.setenv("PATH", str(run_dir))
    for version, used in (("2.39.9", False), ("2.40.0", True), ("3.16.0", True)):
        program.write_text(f"#!/bin/sh\necho 'prometheus, version {version} (branch: HEAD)'\n")
        program.chmod(0o755)
        build._elsewhere.cache_clear()
        assert build.ready("prometheus") == used, version
    assert build.program("prometheus") == program
    build._elsewhere.cache_clear()


def test_prebuilt_control_plane_is_used_only_when_whole(
    empty_cache: Path, run_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(run_dir))
    for name in build.CONTROL_PLANE[:-1]:
        (run_dir / name).touch()
    build._elsewhere.cache_clear()
    assert not build.ready("k8s")
    assert "lacks kubectl: using the own build" in capsys.readouterr().err
    (run_dir / "kubectl").touch()
    build._elsewhere.cache_clear()
    assert build.program("kube-scheduler") == run_dir / "kube-scheduler"
    build._elsewhere.cache_clear()


def test_unknown_parts_are_refused_with_the_known_ones() -> None:
    with pytest.raises(BuildFailed, match="no testbed part 'kubelet'; the parts are: k8s, kwok, prometheus"):
        build.ensure("kubelet")


def test_versions_are_part_of_the_place() -> None:
    assert "v1.37.2" in build.PARTS["k8s"].key()
    assert len({part.key() for part in build.PARTS.values()}) == len(build.PARTS)


def test_what_not_everything_needs_is_gone_on_without(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def gone(into: Path) -> None:
        raise BuildFailed("the module is not to be had")

    def there(into: Path) -> None:
        (into / "file").touch()

    parts = [
        build.Part("crds-gone", lambda: "crds-gone-1", gone, (), lambda: None, needed=False),
        build.Part("crds-there", lambda: "crds-there-1", there, (), lambda: None, needed=False),
    ]
    monkeypatch.setattr(build, "PARTS", {part.name: part for part in parts})
    build._elsewhere.cache_clear()
    assert build.main(["--all"]) == 0
    assert "going on without crds-gone: the module is not to be had" in capsys.readouterr().err
    assert (cache.folder("crds-there-1") / "file").exists()
    assert build.main(["crds-gone"]) == 1, "asked for by name it must be there"
    build._elsewhere.cache_clear()


def test_a_machine_without_a_browser_and_without_a_way_to_one_goes_on(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(empty_cache))
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setattr(build, "PARTS", {"chromium": build.PARTS["chromium"]})
    build._elsewhere.cache_clear()
    assert build.main(["--all"]) == 0
    assert "going on without chromium: there is no Chromium" in capsys.readouterr().err
    assert build.main(["chromium"]) == 1, "who asks for it is told"
    assert "CHROMIUM and CHROMEDRIVER" in capsys.readouterr().err
    for name in ("chromium", "chromedriver"):
        (empty_cache / name).touch()
        monkeypatch.setenv(name.upper(), str(empty_cache / name))
    build._elsewhere.cache_clear()
    assert build.main(["--all"]) == 0
    assert f"chromium: {empty_cache / 'chromium'}" in capsys.readouterr().out
    build._elsewhere.cache_clear()


def test_one_definition_is_cut_out_of_a_file_of_many(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = "kind: CustomResourceDefinition\nmetadata:\n  name: routes.example.com\nspec: {a: 1}\n"
    (run_dir / "all.yaml").write_text(f"# made\n---\nmetadata:\n  name: others.example.com\n---\n{wanted}---\n")
    monkeypatch.setattr(gotool, "module_folder", lambda *_: run_dir)
    into = run_dir / "into"
    into.mkdir()
    Definitions("example.com/m", "v1", ("all.yaml",), ("routes.example.com",)).fetch(into)
    assert (into / "routes.example.com.yaml").read_text().strip() == wanted.strip()
    with pytest.raises(BuildFailed, match=r"has 0 CRDs routes\.example\.org"):
        Definitions("example.com/m", "v1", ("all.yaml",), ("routes.example.org",)).fetch(into)
