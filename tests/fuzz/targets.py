"""What is fuzzed, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fuzz import alerts, answers, manifests, texts

CORPUS: Final = Path(__file__).parent / "corpus"


@dataclass(frozen=True, slots=True)
class Target:
    """`attempt` takes any bytes, and raises where something is wrong with the operator."""

    name: str
    attempt: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]
    longest: int = 4096
    """Bytes of an input."""

    @property
    def about(self) -> str:
        """In a line."""
        return (self.attempt.__doc__ or "").strip().splitlines()[0]

    @property
    def kept(self) -> Path:
        """The folder of the inputs that are kept."""
        return CORPUS / self.name

    def inputs(self) -> Iterator[tuple[str, bytes]]:
        """All that are known, each with what it is called."""
        for number, seed in enumerate(self.seeds()):
            yield f"seed {number}", seed
        for path in sorted(self.kept.glob("*")):
            yield path.name, path.read_bytes()


def _few() -> Iterable[bytes]:
    """Where an example stands for each byte, the first bytes choose it."""
    return (bytes((number,)) + bytes(range(number, number + 24)) for number in range(0, 200, 8))


TARGETS: Final = {
    target.name: target
    for target in (
        Target("manifest", manifests.try_manifest, _few, 512),
        Target("file", texts.try_file, texts.files),
        Target("prometheus", answers.try_body, answers.seeds),
        Target("wire", answers.try_wire, answers.wires),
        Target("alertmanager", alerts.try_payload, alerts.seeds),
        Target("assignment", texts.try_assignment, texts.assignments, 5000),
        Target("template", texts.try_template, texts.templates, 2048),
        Target("freezes", texts.try_freezes, texts.freezes),
        Target("report", texts.try_report, texts.reports),
        Target("log", texts.try_log, texts.logs),
    )
}

__all__ = ["CORPUS", "TARGETS", "Target"]
