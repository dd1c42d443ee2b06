"""Label selectors as an API server takes them: `app=a,tier in (b,c),!old,new`."""

from __future__ import annotations

import re
from collections.abc import Mapping

from syncrollout.ports import Invalid

_TERM = re.compile(r"(?P<key>[\w./-]+)\s+(?P<word>in|notin)\s*\((?P<values>[^)]*)\)|(?P<plain>[^,()]+)")


def matches(selector: str, labels: Mapping[str, str]) -> bool:
    """Whether an object with these labels is selected. Raises Invalid for what is no selector."""
    if not selector:
        return True
    found = list(_TERM.finditer(selector))
    if re.sub(r"[,\s]", "", _TERM.sub("", selector)):
        raise Invalid(f"{selector!r} is not a label selector")
    return all(_holds(term, labels) for term in found)


def _holds(term: re.Match[str], labels: Mapping[str, str]) -> bool:
    if term["word"]:
        inside = labels.get(term["key"]) in {value.strip() for value in term["values"].split(",")}
        return inside == (term["word"] == "in")
    plain = term["plain"].strip()
    for operator in ("!=", "==", "="):
        key, found, value = plain.partition(operator)
        if found:
            return (labels.get(key.strip()) == value.strip()) == (operator != "!=")
    return plain[1:].strip() not in labels if plain.startswith("!") else plain in labels
