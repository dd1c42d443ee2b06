"""What a real node needs: kubelet and kube-proxy by Go build, containerd and more of Debian's packages, unpacked."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from image import debian, oci
from testbed import cache, gotool
from testbed.errors import BuildFailed
from testbed.progress import Progress

PACKAGES: Final = (
    "conntrack",
    "containerd",
    "containernetworking-plugins",
    "iproute2",
    "iptables",
    "libbpf1",
    "libcap2",
    "libelf1",
    "libip4tc2",
    "libip6tc2",
    "libmnl0",
    "libnetfilter-conntrack3",
    "libnfnetlink0",
    "libnftnl11",
    "libseccomp2",
    "libtirpc3",
    "libxtables12",
    "runc",
)
SOURCES: Final = Path(__file__).parent / "gomod"
PAUSE: Final = "testbed.local/pause:1"
_IPTABLES: Final = tuple(
    f"{family}{name}" for family in ("iptables", "ip6tables") for name in ("", "-restore", "-save")
)


def make(into: Path) -> None:
    """Fill the folder: `bin`, `lib`, `cni`, and the image of a sandbox. Raises BuildFailed."""
    try:
        with Progress("fetching containerd and the like"):
            files = debian.fetch(PACKAGES, cache.root() / "debian")
    except debian.NotHere as error:
        raise BuildFailed(f"a real node is made of Debian's packages: {error}") from error
    root = into / "root"
    root.mkdir()
    for file in files:
        debian.extract(file, root)
    programs, libraries = into / "bin", into / "lib"
    programs.mkdir()
    libraries.mkdir()
    for folder in ("usr/sbin", "usr/bin", "sbin", "bin"):
        for found in sorted((root / folder).glob("*")):
            if not (programs / found.name).exists():
                shutil.copy2(found, programs / found.name, follow_symlinks=False)
    for name in _IPTABLES:
        (programs / name).unlink(missing_ok=True)
        (programs / name).symlink_to("xtables-nft-multi")
    for found in [*root.glob("lib/*/*.so*"), *root.glob("usr/lib/*/*.so*")]:
        shutil.copy2(found, libraries / found.name, follow_symlinks=False)
    shutil.copytree(next(root.glob("usr/lib/*/xtables")), libraries / "xtables", symlinks=True)
    shutil.copytree(root / "usr/lib/cni", into / "cni")
    shutil.rmtree(root)
    _go("kubelet and kube-proxy", SOURCES / "node", programs / "kubelet", usually="1-3 min after the control plane")
    (programs / "kube-proxy").symlink_to("kubelet")
    _pause(into)


def _pause(into: Path) -> None:
    root = into / "pause"
    root.mkdir()
    _go("a pod's first process", SOURCES / "pause", root / "pause", usually="seconds")
    image = oci.Image((oci.layer(root),), ("/pause",), {}, "65535:65535", {})
    oci.write(image, into / "pause.tar", PAUSE)
    shutil.rmtree(root)


def _go(what: str, source: Path, out: Path, *, usually: str) -> None:
    arguments = ["build", "-trimpath", "-v", "-ldflags", "-s -w", "-o", str(out), "."]
    gotool.build(what, arguments, cwd=source, usually=usually, packages=2000)
