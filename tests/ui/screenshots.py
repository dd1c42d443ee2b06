"""`make screenshots`: the pictures of docs/ui.md, of the real page over the gallery, in headless Chromium."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from testbed.waiting import eventually
from ui.browser import PHONE, browser, missing
from ui.gallery import NOW, Series, gallery
from ui.served import serving

FOLDER = Path(__file__).parents[2] / "docs" / "images"
MOST_BYTES = 150_000
LISTING, LEDGER = "#/listings/listing-sync", "#/payments/ledger-sync"
PICTURES: dict[str, tuple[str, dict[str, Any], int | None]] = {
    "ui-fleet": ("", {}, None),
    "ui-rollout": (LISTING, {}, None),
    "ui-rollout-dark": (LISTING, {"dark": True}, None),
    "ui-incident": (LEDGER, {}, None),
    "ui-phone": (LISTING, {"size": PHONE}, 1500),
}
"""By name: where, how, and how much of the page's height."""


def main() -> int:
    """Write them. The exit code is 1 where there is no browser."""
    why = missing()
    if why:
        print(f"screenshots: {why}", file=sys.stderr)
        return 1
    FOLDER.mkdir(exist_ok=True)
    fleet, began = gallery(), time.time()
    raws = [each.raw for each in fleet]
    with serving(raws, Series(fleet), now=lambda: NOW + time.time() - began, leads=True) as served, browser() as page:
        for name, (path, how, height) in PICTURES.items():
            page.open(served.url + path, **how)
            eventually(lambda: page.all(".fleet, .spark"), what="the page to be there")
            eventually(lambda: page.text("#link-text") == "Live", what="it to be live")
            file = FOLDER / f"{name}.webp"
            page.shoot(file, height=height)
            size = file.stat().st_size
            assert size < MOST_BYTES, f"{file} has {size} bytes"
            print(f"{file.relative_to(Path.cwd())}: {size // 1000} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
