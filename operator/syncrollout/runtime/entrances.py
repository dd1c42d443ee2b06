"""The operator's own servers as the settings want them: which certificate each shows, and whom it lets in."""

from __future__ import annotations

from pathlib import Path

from syncrollout.ports import KubeApi
from syncrollout.runtime.certificates import ServedCertificate
from syncrollout.runtime.doors import BearerToken, Door
from syncrollout.runtime.reviews import Reviews
from syncrollout.runtime.settings import Settings


class Entrances:
    """Made once; raises TokenInvalid or CertificateInvalid where a file is not what it should be."""

    def __init__(self, settings: Settings, api: KubeApi) -> None:
        """`api` may be asked whether or not this process leads: every replica has its page, and is scraped."""
        s = settings
        self._reviews = Reviews(api, keep=s.review_keep)
        self.certificate: ServedCertificate | None = None
        """That of /metrics, probes and the page."""
        self.certificate_for_alerts: ServedCertificate | None = None
        if s.tls_cert_file is not None and s.tls_key_file is not None:
            pair = Path(s.tls_cert_file), Path(s.tls_key_file)
            client_ca = Path(s.alertmanager_client_ca_file) if s.alertmanager_client_ca_file is not None else None
            self.certificate = ServedCertificate(*pair)
            self.certificate_for_alerts = ServedCertificate(*pair, client_ca) if client_ca else self.certificate
        self.metrics = Door(reviews=self._reviews if s.metrics_review else None)
        self.alerts = Door(
            _token(s.alertmanager_token_file, "alerts"), self._reviews if s.alertmanager_review else None
        )
        self.page = Door(_token(s.ui_token_file if s.ui else None, "the page"), self._reviews if s.ui_review else None)

    async def close(self) -> None:
        """Ask the API server for nobody any more."""
        await self._reviews.close()


def _token(file: str | None, purpose: str) -> BearerToken | None:
    return BearerToken(Path(file), purpose) if file is not None else None


__all__ = ["Entrances"]
