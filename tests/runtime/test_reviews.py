"""Whom the API server knows, and what it is asked for that: a little, and not by whoever comes along."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from fakes.reviewer import Reviewer
from syncrollout.ports import Forbidden, Unavailable
from syncrollout.runtime.doors import Denied, Door, Visitor
from syncrollout.runtime.reviews import AT_A_MOMENT, OUTAGE, Person, Reviews, Right, Unreviewed

LIST = Right("list", "shop")


@pytest.fixture
def api() -> Reviewer:
    made = Reviewer()
    made.people = {"kims": "kim"}
    made.rights = {"kim": {"list syncrollouts shop"}}
    return made


@pytest.mark.looptime
async def test_what_was_answered_is_kept_for_a_while(api: Reviewer) -> None:
    reviews = Reviews(api, keep=60.0)
    for _ in range(3):
        kim = await reviews.who("kims")
        assert kim is not None
        assert kim.name == "kim"
        assert await reviews.may(kim, LIST)
        assert not await reviews.may(kim, Right("list", "other"))
        assert await reviews.who("nobodys") is None
    assert len(api.asked) == 4
    api.people, api.rights = {}, {}
    await asyncio.sleep(59)
    assert await reviews.may(kim, LIST)
    await asyncio.sleep(2)
    assert await reviews.who("kims") is None
    assert not await reviews.may(kim, LIST)


@pytest.mark.looptime
async def test_a_no_is_kept_for_a_shorter_time(api: Reviewer) -> None:
    reviews = Reviews(api, keep=3600.0)
    kim = Person("kim", groups=("system:authenticated",))
    assert not await reviews.may(kim, Right("get", "shop", "web"))
    api.rights["kim"].add("get syncrollouts shop")
    await asyncio.sleep(11)
    assert await reviews.may(kim, Right("get", "shop", "web"))


@pytest.mark.looptime
async def test_many_at_once_ask_once(api: Reviewer) -> None:
    reviews = Reviews(api, keep=60.0)
    found = await asyncio.gather(*(reviews.who("kims") for _ in range(500)))
    assert {each.name for each in found if each is not None} == {"kim"}
    assert api.asked == ["TokenReview"]


@pytest.mark.looptime
async def test_tokens_that_nobody_knows_cost_little_and_keep_nobody_out_who_is_known(api: Reviewer) -> None:
    reviews = Reviews(api, keep=60.0)
    assert await reviews.who("kims") is not None
    await asyncio.sleep(61)
    for number in range(int(AT_A_MOMENT) + 500):
        with contextlib.suppress(Unreviewed):
            assert await reviews.who(f"guess-{number}") is None
    assert len(api.asked) <= AT_A_MOMENT + 2
    assert await reviews.who("kims") is not None, "known before, and asked about in spite of the flood"


@pytest.mark.looptime
async def test_a_token_that_was_nobodys_is_still_one_that_nobody_knows(api: Reviewer) -> None:
    reviews = Reviews(api, keep=60.0)
    guesses = [f"guess-{number}" for number in range(300)]
    for guess in guesses:
        assert await reviews.who(guess) is None
        await asyncio.sleep(0.1)
    await asyncio.sleep(31)
    api.asked.clear()
    for guess in guesses:
        with contextlib.suppress(Unreviewed):
            assert await reviews.who(guess) is None
    assert len(api.asked) <= AT_A_MOMENT


@pytest.mark.looptime
async def test_who_is_known_sees_many_namespaces_at_once(api: Reviewer) -> None:
    visitor = await Door(reviews=Reviews(api, keep=60.0)).admit("Bearer kims")
    many = {f"n{number}" for number in range(500)}
    assert await visitor.among(many | {"shop"}, "list") == {"shop"}


@pytest.mark.looptime
async def test_an_outage_blinds_nobody_who_was_known_and_lets_in_nobody_else(api: Reviewer) -> None:
    reviews = Reviews(api, keep=60.0)
    kim = await reviews.who("kims")
    assert kim is not None
    assert await reviews.who("others") is None
    assert await Visitor(kim, reviews).among({"shop", "bank"}, "list") == frozenset({"shop"})
    api.trouble = Unavailable("create tokenreviews: the API server cannot be reached")
    await asyncio.sleep(61)
    assert await reviews.who("kims") == kim
    assert await Visitor(kim, reviews).among({"shop", "bank"}, "list") == frozenset({"shop"}), (
        "a no to all is no answer missing"
    )
    for asked in (reviews.who("others"), reviews.may(kim, Right("get", "bank"))):
        with pytest.raises(Unreviewed, match="cannot be reached"):
            await asked
    await asyncio.sleep(OUTAGE)
    for asked in (reviews.who("kims"), reviews.may(kim, LIST), reviews.may(kim, Right("list"))):
        with pytest.raises(Unreviewed):
            await asked


async def test_a_right_that_the_operator_lacks_is_named(api: Reviewer) -> None:
    api.trouble = Forbidden("create tokenreviews.authentication.k8s.io: forbidden")
    with pytest.raises(Unreviewed, match="create tokenreviews"):
        await Reviews(api, keep=60.0).who("kims")


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic kims", "kims", "Bearer nobodys", f"Bearer {'x' * 9000}"]
)
async def test_who_is_not_known_is_not_let_in(api: Reviewer, header: str) -> None:
    with pytest.raises(Denied) as denied:
        await Door(reviews=Reviews(api, keep=60.0)).admit(header)
    assert denied.value.status == 401


async def test_a_visitor_sees_what_he_may_and_is_told_what_he_lacks(api: Reviewer) -> None:
    visitor = await Door(reviews=Reviews(api, keep=60.0)).admit("bearer kims")
    assert await visitor.among({"shop", "other"}, "list") == {"shop"}
    with pytest.raises(Denied, match=r"kim may not get /metrics") as denied:
        await visitor.must(Right("get", path="/metrics"))
    assert denied.value.status == 403
    api.rights["kim"] |= {"list syncrollouts *", "get /metrics"}
    other = await Door(reviews=Reviews(api, keep=60.0)).admit("Bearer kims")
    assert await other.among({"shop", "other"}, "list") is None
    await other.must(Right("get", path="/metrics"))


async def test_with_neither_token_nor_review_everybody_may_everything() -> None:
    visitor = await Door().admit("")
    assert await visitor.among({"shop"}, "list") is None
    await visitor.must(Right("get", path="/metrics"))
