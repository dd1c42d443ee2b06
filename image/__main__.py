"""`python -m image [--out FOLDER] [--name NAME]`: an OCI archive of the operator, its digest, and what is in it.

The same packages give the same bytes: see `oci.py`. It needs Linux with apt (for Debian's packages, which are unpacked
and not installed) and uv; no root, and no container engine. Elsewhere: `docker build -f image/Containerfile .`
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from image import debian, oci, sbom, wheels

ROOT = Path(__file__).parents[1]


def build(out: Path, name: str) -> str:
    """Write NAME.tar (an OCI archive) and NAME.cdx.json (its bill of materials) to `out`; the image's digest."""
    with tempfile.TemporaryDirectory() as scratch:
        base, application = Path(scratch, "base"), Path(scratch, "application")
        packages = debian.unpack(base, ROOT / ".cache" / "image")
        distributions = wheels.install(application, ROOT)
        wheels.compile_all(base, application)
        labels = {
            "org.opencontainers.image.title": "syncrollout",
            "org.opencontainers.image.version": wheels.version(distributions),
            "org.opencontainers.image.licenses": "Apache-2.0",
        }
        image = oci.Image(
            layers=(oci.layer(base), oci.layer(application)),
            entrypoint=("/usr/bin/python3.11", "-m", "syncrollout"),
            environment={"PATH": "/usr/bin", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"},
            user="65532:65532",
            labels=labels,
        )
        out.mkdir(parents=True, exist_ok=True)
        stem = name.replace("/", "_").replace(":", "-")
        (out / f"{stem}.cdx.json").write_text(json.dumps(sbom.of(packages, distributions), indent=1) + "\n", "utf-8")
        return oci.write(image, out / f"{stem}.tar", name)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m image", description="Build the operator's image.")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="folder (default: dist)")
    parser.add_argument("--name", default="syncrollout:0.1.0", help="name and tag (default: as in manifests/)")
    options = parser.parse_args(arguments)
    try:
        digest = build(options.out, options.name)
    except (debian.NotHere, wheels.NotBuilt) as error:
        print(f"image: {error}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        print(f"image: {error.cmd[0]} failed: {error.stderr or error.stdout or error}", file=sys.stderr)
        return 1
    stem = options.name.replace("/", "_").replace(":", "-")
    archive = options.out / f"{stem}.tar"
    print(f"{archive}  {archive.stat().st_size / 1e6:.1f} MB  {digest}")
    print(f"{options.out / f'{stem}.cdx.json'}  what is in it")
    return 0


if __name__ == "__main__":
    sys.exit(main())
