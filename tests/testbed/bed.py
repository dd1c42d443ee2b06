"""All the parts under one roof, for scripts: `with Testbed(parts=(...)) as t:`."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from testbed import build, netns
from testbed.controlplane import ControlPlane, kubeconfig_text
from testbed.dataplane import DataPlane
from testbed.errors import NamespaceForbidden, TestbedError
from testbed.kube import Kube
from testbed.kwok import Kwok
from testbed.namespaces import create_namespace
from testbed.prometheus import Prometheus

BUILDS = {"kwok": ("kwok",), "prometheus": ("prometheus",), "dataplane": ("contour", "envoy")}
"""What must be built for each part, besides the control plane itself."""


class Testbed:
    """A control plane and the `parts` asked for: any of "kwok", "prometheus", "dataplane".

    run_dir: where logs and files go; a temporary folder, removed at the end, if none is given.
    host_access: let the API server be reached from other terminals, through `host_kubeconfig`.
    """

    __test__ = False  # the name begins with "Test": keep pytest from collecting it

    def __init__(
        self,
        run_dir: Path | str | None = None,
        *,
        parts: Sequence[str] = (),
        nodes: int = 2,
        scrape_interval: str = "1s",
        host_access: bool = False,
    ) -> None:
        unknown = [part for part in parts if part not in BUILDS]
        if unknown:
            raise TestbedError(f"the testbed has no part {unknown[0]!r}; the parts are: {', '.join(BUILDS)}")
        self._parts = tuple(parts)
        self._nodes = nodes
        self._scrape_interval = scrape_interval
        self._host_access = host_access
        self._temporary = run_dir is None
        self._run_dir = Path(run_dir) if run_dir is not None else None
        self._stack = ExitStack()
        self._control_plane: ControlPlane | None = None
        self._kwok: Kwok | None = None
        self._prometheus: Prometheus | None = None
        self._data_plane: DataPlane | None = None
        self._host_kubeconfig: Path | None = None

    def __enter__(self) -> Self:
        build.ensure("k8s", *(name for part in self._parts for name in BUILDS[part]))
        door = netns.Door() if self._host_access and not netns.entered() else None
        self._enter_namespace()
        if self._run_dir is None:
            self._run_dir = Path(tempfile.mkdtemp(prefix="testbed-"))
            self._stack.callback(shutil.rmtree, self._run_dir, ignore_errors=True)
        try:
            self._start(door)
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _enter_namespace(self) -> None:
        try:
            netns.enter()
        except NamespaceForbidden as error:
            if "dataplane" in self._parts:
                raise
            print(f"testbed: going on without a network namespace: {error}", file=sys.stderr)

    def _start(self, door: netns.Door | None) -> None:
        run_dir = self.run_dir
        run_dir.mkdir(parents=True, exist_ok=True)
        if "prometheus" in self._parts:  # gets ready while the control plane does
            self._prometheus = Prometheus(run_dir, scrape_interval=self._scrape_interval)
            self._stack.callback(self._prometheus.stop)
            self._prometheus.launch()
        self._control_plane = ControlPlane(run_dir)
        self._stack.enter_context(self._control_plane)
        if door is not None:
            self._open(door, self._control_plane)
        if "kwok" in self._parts:
            self._kwok = self._stack.enter_context(Kwok(self._control_plane, nodes=self._nodes))
        if "dataplane" in self._parts:
            self._data_plane = self._stack.enter_context(DataPlane(self._control_plane, run_dir))
        if self._prometheus is not None:
            self._prometheus.wait_ready()

    def _open(self, door: netns.Door, control_plane: ControlPlane) -> None:
        self._stack.callback(door.close)
        door.open_to("127.0.0.1", control_plane.port)
        self._host_kubeconfig = self.run_dir / "kubeconfig"
        server = f"https://127.0.0.1:{door.port}"
        text = kubeconfig_text(server, control_plane.admin_token, control_plane.ca_file)
        self._host_kubeconfig.write_text(text)
        self._host_kubeconfig.chmod(0o600)

    @property
    def run_dir(self) -> Path:
        if self._run_dir is None:
            raise TestbedError("the testbed is not started")
        return self._run_dir

    @property
    def control_plane(self) -> ControlPlane:
        if self._control_plane is None:
            raise TestbedError("the testbed is not started")
        return self._control_plane

    @property
    def kube(self) -> Kube:
        return self.control_plane.kube

    @property
    def kwok(self) -> Kwok:
        if self._kwok is None:
            raise self._not_asked_for("kwok")
        return self._kwok

    @property
    def prometheus(self) -> Prometheus:
        if self._prometheus is None:
            raise self._not_asked_for("prometheus")
        return self._prometheus

    @property
    def data_plane(self) -> DataPlane:
        if self._data_plane is None:
            raise self._not_asked_for("dataplane")
        return self._data_plane

    @property
    def host_kubeconfig(self) -> Path:
        """A kubeconfig that works outside the network namespace, as from another terminal."""
        if self._host_kubeconfig is None:
            return self.control_plane.kubeconfig
        return self._host_kubeconfig

    def new_namespace(self, prefix: str = "test") -> str:
        """Create a Kubernetes namespace with a name of its own; pods can be made in it at once."""
        return create_namespace(self.kube, prefix)

    def _not_asked_for(self, part: str) -> TestbedError:
        return TestbedError(f"this testbed was started without {part!r}; give parts=({part!r}, ...)")
