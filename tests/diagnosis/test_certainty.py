"""How sure: the rules, and that more evidence never makes less sure."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from syncrollout.diagnosis.words import Certainty, Sign, Source, Strength, Trouble, sure

SIGNS = st.lists(
    st.builds(
        Sign,
        trouble=st.just(Trouble.SLOW),
        strength=st.sampled_from(Strength),
        source=st.sampled_from(Source),
        text=st.just("seen"),
    ),
    max_size=8,
)
RANK = {None: 0, Certainty.POSSIBLE: 1, Certainty.LIKELY: 2, Certainty.CERTAIN: 3}


def sign(strength: Strength, source: Source) -> Sign:
    return Sign(Trouble.SLOW, strength, source, "seen")


def test_the_rules() -> None:
    weak, strong = Strength.WEAK, Strength.STRONG
    assert sure([]) is None
    assert sure([sign(weak, Source.LOGS)]) is Certainty.POSSIBLE
    assert sure([sign(weak, Source.LOGS), sign(weak, Source.LOGS)]) is Certainty.POSSIBLE
    assert sure([sign(weak, Source.LOGS), sign(weak, Source.METRICS)]) is Certainty.LIKELY
    assert sure([sign(strong, Source.LOGS)]) is Certainty.LIKELY
    assert sure([sign(strong, Source.LOGS), sign(strong, Source.LOGS)]) is Certainty.LIKELY
    assert sure([sign(strong, Source.LOGS), sign(strong, Source.METRICS)]) is Certainty.CERTAIN
    assert sure([sign(Strength.PROOF, Source.PODS)]) is Certainty.CERTAIN


@settings(deadline=None)
@given(SIGNS, SIGNS)
def test_more_evidence_never_makes_less_sure(some: list[Sign], more: list[Sign]) -> None:
    assert RANK[sure(some + more)] >= max(RANK[sure(some)], RANK[sure(more)])


@settings(deadline=None)
@given(SIGNS, st.integers())
def test_the_order_and_repetitions_do_not_matter(signs: list[Sign], seed: int) -> None:
    shuffled = list(signs)
    Random(seed).shuffle(shuffled)
    assert sure(shuffled + signs) is sure(signs)
