"""From a message to its title and text, by a template of one's own or the one that is built in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from syncrollout.api.status import MessageStatus
from syncrollout.api.words import Language, MessageEvent
from syncrollout.messages import english, japanese
from syncrollout.messages.facts import About, facts
from syncrollout.messages.limited import TextInvalid, filled_in

BUILT_IN: Final = {Language.EN: english.TEXTS, Language.JA: japanese.TEXTS}
LONGEST_TITLE: Final = 200


@dataclass(frozen=True, slots=True)
class Written:
    """A message as it is sent; `body` is Markdown. `wrong` says why a template of one's own was passed over."""

    title: str
    body: str
    wrong: str = ""


def keys(event: MessageEvent, language: Language) -> tuple[str, str]:
    """The keys of a ConfigMap that hold the title and the text of an event."""
    return f"{event.value}.{language.value}.title", f"{event.value}.{language.value}"


def write(
    about: About, message: MessageStatus, audience: str, language: Language, own: Mapping[str, str] | None = None
) -> Written:
    """The message. `own`: templates by key. One that cannot be filled in never keeps a message back."""
    known = facts(about, message, audience, language)
    built_in = BUILT_IN[language][message.event]
    texts, wrong = [], []
    for key, source in zip(keys(message.event, language), built_in, strict=True):
        mine = (own or {}).get(key)
        if mine is not None:
            try:
                texts.append(filled_in(mine, known).strip())
                continue
            except TextInvalid as error:
                wrong.append(f"{key}: {error}")
        texts.append(filled_in(source, known).strip())
    title, body = texts
    title = " ".join(title.split())
    return Written(title[:LONGEST_TITLE], _tidy(body), "; ".join(wrong))


def _tidy(body: str) -> str:
    """No more than one empty line in a row, and none between the lines of a list."""
    lines: list[str] = []
    waiting = False
    for line in body.splitlines():
        stripped = line.rstrip()
        if not stripped:
            waiting = bool(lines)
            continue
        listed = lines and lines[-1].startswith("- ") and stripped.startswith("- ")
        if waiting and not listed:
            lines.append("")
        lines.append(stripped)
        waiting = False
    return "\n".join(lines) + "\n"


__all__ = ["BUILT_IN", "Written", "keys", "write"]
