"""The post of the small world: it sends what is recorded as being sent by this process, and nothing else."""

from __future__ import annotations

from syncrollout.api.status import SyncRolloutStatus
from syncrollout.api.words import DeliveryState
from syncrollout.decide import telling
from syncrollout.decide.deliveries import Delivered, Delivery


class Post:
    """Change `answers` to make channels fail, and `hangs` to keep messages on their way."""

    def __init__(self) -> None:
        self.answers: dict[str, Delivered] = {}
        """What comes of an attempt, by the name of the channel; Sent unless given."""
        self.hangs = False
        self.mute = False
        """The process begins to send nothing more."""
        self.sent: list[tuple[str, str, str]] = []
        """Message, audience and channel of all that has arrived, in order."""
        self.attempts: list[tuple[str, str, str]] = []
        self.known: dict[str, Delivery] = {}

    def recorded(self, before: SyncRolloutStatus, after: SyncRolloutStatus) -> None:
        """A status was written: what it says is being sent from now on is sent."""
        for key, message, audience, channel in sorted(_sending(after) - _sending(before)):
            if self.hangs:
                self.known[key] = Delivery(Delivered.UNDER_WAY)
                continue
            self.attempts.append((message, audience, channel))
            result = self.answers.get(channel, Delivered.SENT)
            if result is not Delivered.FAILED:
                self.sent.append((message, audience, channel))
            self.known[key] = Delivery(result, "" if result is Delivered.SENT else "no answer")

    def restart(self) -> None:
        """What this process knows is lost."""
        self.known, self.hangs, self.mute = {}, False, False

    def events(self, audience: str, channel: str = "chat") -> list[str]:
        """What has arrived at an audience on a channel, in order."""
        return [each.split("-", 1)[1] for each, to, by in self.sent if (to, by) == (audience, channel)]


def _sending(status: SyncRolloutStatus) -> set[tuple[str, str, str, str]]:
    box = status.notifications
    return {
        (telling.key(message, each), message.id, each.audience, each.channel)
        for message in (box.messages if box is not None else ())
        for each in message.deliveries
        if each.state is DeliveryState.SENDING
    }
