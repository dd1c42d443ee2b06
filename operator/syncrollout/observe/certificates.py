"""Until when certificates are valid, from their PEM text.

The standard library reads no certificate but those of a connection, and one date is no reason for a whole library of
cryptography in the operator's image: a certificate is walked (X.690, RFC 5280) down to its field `validity`, and
nothing else of it is looked at. What is not as it should be is a ValueError, never a wrong date.
"""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, datetime
from typing import Final

MOST: Final = 16
"""Certificates of one text that are looked at; more is no chain."""
_PEM: Final = re.compile(r"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]{1,65536})-----END CERTIFICATE-----")
_SEQUENCE, _VERSION, _UTC_TIME, _GENERALIZED = 0x30, 0xA0, 0x17, 0x18
_BEFORE_VALIDITY: Final = 3
"""Fields between the version and the validity: serial number, signature, issuer."""
_CENTURY: Final = 50
"""Two digits of a year from which on it is one of the twentieth century (RFC 5280)."""


def valid_until(pem: str) -> float:
    """When the first of the certificates ends, seconds since the epoch. Raises ValueError where there is none, or one
    that cannot be read."""
    found = _PEM.findall(pem)
    if not found or len(found) > MOST:
        msg = "there is no certificate in it" if not found else f"there are more than {MOST} certificates in it"
        raise ValueError(msg)
    try:
        return min(_not_after(base64.b64decode("".join(each.split()), validate=True)) for each in found)
    except (binascii.Error, IndexError) as error:
        msg = "a certificate in it is cut off, or is none"
        raise ValueError(msg) from error


def _not_after(der: bytes) -> float:
    certificate = _content(der, 0, _SEQUENCE)[0]
    body = _content(certificate, 0, _SEQUENCE)[0]
    at = 0
    if body[0] == _VERSION:
        at = _content(body, at, _VERSION)[1]
    for _ in range(_BEFORE_VALIDITY):
        at = _content(body, at, body[at])[1]
    validity = _content(body, at, _SEQUENCE)[0]
    ends = _content(validity, 0, validity[0])[1]
    kind = validity[ends]
    return _moment(kind, _content(validity, ends, kind)[0].decode("ascii"))


def _content(data: bytes, at: int, tag: int) -> tuple[bytes, int]:
    """The content of the element at this place, and where the next one begins. Raises ValueError, IndexError."""
    if data[at] != tag:
        msg = "a certificate in it is none, or of a form that is not known"
        raise ValueError(msg)
    length, start = data[at + 1], at + 2
    if length & 0x80:
        count = length & 0x7F
        if not 1 <= count <= 4:
            msg = "a certificate in it has a length that is none"
            raise ValueError(msg)
        length, start = int.from_bytes(data[start : start + count]), start + count
    if start + length > len(data):
        msg = "a certificate in it is cut off"
        raise ValueError(msg)
    return data[start : start + length], start + length


def _moment(kind: int, text: str) -> float:
    if kind == _UTC_TIME:
        text = ("19" if int(text[:2]) >= _CENTURY else "20") + text
    elif kind != _GENERALIZED:
        msg = "a certificate in it does not say when it ends"
        raise ValueError(msg)
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()


__all__ = ["valid_until"]
