"""`python -m install --write | --check`: what is made of manifests/ and the chart's values. Run it at the root."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Final

from install import rights, values
from syncrollout.pages import add_choice, carry_out

PAGE: Final = Path("docs/install.md")
_TABLES: Final = {"rights": rights.table, "values": values.table}


def page(text: str) -> str:
    """The page with its tables made anew: what stands between `<!-- made: NAME -->` and `<!-- end -->`."""
    for name, table in _TABLES.items():
        begin, end = f"<!-- made: {name} -->\n", "<!-- end -->"
        before, found, rest = text.partition(begin)
        if not found or end not in rest:
            raise ValueError(f"{PAGE} has no place for the table of {name}")
        text = f"{before}{begin}\n" + "\n".join(table()) + f"\n\n{end}{rest.partition(end)[2]}"
    return text


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m install", description=__doc__)
    add_choice(parser, PAGE)
    chosen = parser.parse_args(arguments)
    codes = [
        carry_out(chosen, rights.ROLE, rights.role(), source=f"{rights.SOURCE} says"),
        carry_out(chosen, PAGE, page(PAGE.read_text("utf-8")), source=f"{values.SOURCE} and {rights.SOURCE} say"),
    ]
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())
