"""Hosts that a spec names, judged before a run begins: what is refused by its name is said before anything is
touched."""

from __future__ import annotations

from collections.abc import Iterator

from yarl import URL

from syncrollout.api.spec import SyncRolloutSpec
from syncrollout.api.words import Reason
from syncrollout.decide.facts import Problem
from syncrollout.net.destinations import Destinations
from syncrollout.observe.prometheus_answers import shown_address


class NamedHosts:
    """What of a spec the operator does not call. What is in Secrets is judged when it is called."""

    def __init__(self, destinations: Destinations) -> None:
        self._destinations = destinations

    def problem(self, spec: SyncRolloutSpec) -> Problem | None:
        """What a person has to mend first; None where nothing is refused."""
        for path, address in _addresses(spec):
            try:
                url = URL(address)
            except ValueError:
                continue  # whoever asks there says so
            port = url.port or 0
            said = self._destinations.of_scheme(url.scheme == "https") or self._destinations.of_name(
                url.host or "", port
            )
            if said:
                message = f"{path} is {shown_address(address)}: {said}"
                return Problem(Reason.DESTINATION_REFUSED, message)
        return None


def _addresses(spec: SyncRolloutSpec) -> Iterator[tuple[str, str]]:
    if spec.prometheus is not None:
        yield "spec.prometheus.address", spec.prometheus.address
    if spec.notifications is None:
        return
    for audience in spec.notifications.audiences:
        for channel in audience.channels:
            if channel.alertmanager is not None:
                path = f"the alertmanager of channel {channel.name} of audience {audience.name}"
                yield path, channel.alertmanager.address


__all__ = ["NamedHosts"]
