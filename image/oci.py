"""An OCI image archive out of folders. The same files give the same bytes: no times, no owners, names in order."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}
_OCI: Final = "application/vnd.oci.image"


@dataclass(frozen=True, slots=True)
class Layer:
    """`diff_id`: the digest of the archive before it was compressed, by which runtimes know it."""

    compressed: bytes
    diff_id: str


@dataclass(frozen=True, slots=True)
class Image:
    """What is run, as whom, and the layers from the bottom up."""

    layers: tuple[Layer, ...]
    entrypoint: tuple[str, ...]
    environment: Mapping[str, str]
    user: str
    labels: Mapping[str, str]


def layer(folder: Path) -> Layer:
    """All that is in a folder, owned by root and read-only to everybody else."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(folder.rglob("*")):
            archive.add(path, arcname=str(path.relative_to(folder)), recursive=False, filter=_plain)
    raw = buffer.getvalue()
    return Layer(gzip.compress(raw, 6, mtime=0), _sha(raw))


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    if not member.issym():
        member.mode &= 0o755
    return member


def write(image: Image, path: Path, name: str) -> str:
    """Write the archive; the digest of its manifest, by which the image can be asked for."""
    architecture = _ARCHITECTURES[platform.machine()]
    config = _json(
        {
            "architecture": architecture,
            "os": "linux",
            "config": {
                "User": image.user,
                "Entrypoint": list(image.entrypoint),
                "Env": [f"{key}={value}" for key, value in sorted(image.environment.items())],
                "WorkingDir": "/",
                "Labels": dict(sorted(image.labels.items())),
            },
            "rootfs": {"type": "layers", "diff_ids": [each.diff_id for each in image.layers]},
            "history": [{"created_by": "python -m image"} for _ in image.layers],
        }
    )
    layers = [each.compressed for each in image.layers]
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": f"{_OCI}.manifest.v1+json",
            "config": _descriptor(config, "config.v1+json"),
            "layers": [_descriptor(each, "layer.v1.tar+gzip") for each in layers],
        }
    )
    described = _descriptor(manifest, "manifest.v1+json") | {
        "platform": {"architecture": architecture, "os": "linux"},
        "annotations": {
            "io.containerd.image.name": name,
            "org.opencontainers.image.ref.name": name.rpartition(":")[2],
        },
    }
    index = _json({"schemaVersion": 2, "mediaType": f"{_OCI}.index.v1+json", "manifests": [described]})
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        _put(archive, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        _put(archive, "index.json", index)
        for blob in sorted({config, manifest, *layers}, key=_sha):
            _put(archive, f"blobs/sha256/{_sha(blob).removeprefix('sha256:')}", blob)
    return _sha(manifest)


def _put(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def _descriptor(content: bytes, kind: str) -> dict[str, object]:
    return {"mediaType": f"{_OCI}.{kind}", "digest": _sha(content), "size": len(content)}


def _sha(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
