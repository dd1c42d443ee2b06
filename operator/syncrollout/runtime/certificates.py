"""The certificate that the operator's own servers show, from files that are replaced while it runs (cert-manager, or a
Secret that is rotated)."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)


class CertificateInvalid(Exception):
    """The files hold no certificate that can be shown; the message says why and what to do."""


class ServedCertificate:
    """Certificate and key, and with `client_ca` the authority by which clients have to show theirs. Read anew when a
    file has changed, before the next handshake; what cannot be used leaves the last good one in force. Raises
    CertificateInvalid where there is none to begin with."""

    def __init__(self, cert: Path, key: Path, client_ca: Path | None = None) -> None:
        self._files = (cert, key) if client_ca is None else (cert, key, client_ca)
        self._client_ca = client_ca
        self._complained = False
        self._seen = self._version()
        self._context = self._read()
        self._entry: Final = self._read()
        self._entry.sni_callback = self._latest

    @property
    def context(self) -> ssl.SSLContext:
        """For the handshake of one connection, which it hands on to the latest. Where clients show a certificate, none
        goes on with the session of an earlier connection: it would come in unlooked at, by whatever authority counted
        then."""
        if self._client_ca is None:
            return self._entry
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version, context.verify_mode = ssl.TLSVersion.TLSv1_2, ssl.CERT_REQUIRED
        context.sni_callback = self._latest
        return context

    def _latest(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        seen = self._version()
        if seen != self._seen:
            try:
                self._context, self._seen, self._complained = self._read(), seen, False
                log.info("the certificate was read anew from %s", self._files[0])
            except CertificateInvalid as error:
                if not self._complained:
                    log.warning("the certificate stays what it was: %s", error)
                self._complained = True
        connection.context = self._context

    def _version(self) -> tuple[tuple[int, int], ...] | None:
        try:
            return tuple((each.stat().st_mtime_ns, each.stat().st_ino) for each in self._files)
        except OSError:
            return None

    def _read(self) -> ssl.SSLContext:
        cert, key = self._files[:2]
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(cert, key, password="")
            if self._client_ca is not None:
                context.load_verify_locations(cafile=self._client_ca)
                context.verify_mode = ssl.CERT_REQUIRED
        except ssl.SSLError as error:
            why = (error.reason or str(error)).replace("_", " ").lower()
            msg = f"{cert} and {key} are no certificate with its key, as PEM without a password ({why})"
            raise CertificateInvalid(msg) from error
        except OSError as error:
            names = ", ".join(map(str, self._files))
            raise CertificateInvalid(f"{names} cannot be read ({error.strerror}): mount the Secret there") from error
        return context


__all__ = ["CertificateInvalid", "ServedCertificate"]
