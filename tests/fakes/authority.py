"""Certificates made on the spot by openssl: an authority, and what it vouches for."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

NAMES = "DNS:localhost,IP:127.0.0.1"


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, as files."""

    cert: Path
    key: Path


class Authority:
    """`Authority(folder).pair("server")`: certificates that whoever trusts `ca` trusts."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.ca = folder / f"{name}.pem"
        self._key = folder / f"{name}.key"
        _openssl(
            "req", "-x509", *_fresh(self._key), "-out", str(self.ca), "-days", "2", "-subj", f"/CN={name}",
            "-addext", "keyUsage=critical,keyCertSign,cRLSign",
        )  # fmt: skip

    def pair(self, name: str, *, names: str = NAMES, days: int = 2) -> Pair:
        """A certificate for these names; with -1 days it has run out."""
        made = Pair(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        asked, says = self._folder / f"{name}.csr", self._folder / f"{name}.ext"
        says.write_text(f"subjectAltName={names}\nbasicConstraints=critical,CA:FALSE\n")
        _openssl("req", "-new", *_fresh(made.key), "-out", str(asked), "-subj", f"/CN={name}")
        _openssl(
            "x509", "-req", "-in", str(asked), "-out", str(made.cert), "-CA", str(self.ca), "-CAkey", str(self._key),
            "-CAcreateserial", "-days", str(days), "-extfile", str(says),
        )  # fmt: skip
        return made


def _fresh(key: Path) -> list[str]:
    return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(key)]


def _openssl(*arguments: str) -> None:
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, done.stderr
