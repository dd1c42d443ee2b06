"""What one worker may start while its assignment changes, and which epoch it says it obeys."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest

from syncrollout.shards import Assignment, BadAssignment, Item, Mode, NotOwned, Shards, slot

Make = Callable[..., Shards]
LOW, HIGH = "483", "150"  # keys of slots 0 and 999
NAME = "SYNCROLLOUT_SHARDS"


def at(epoch: int, mark: int, old_from: int | None = None, *, shadow: bool = False, stop: bool = False) -> Assignment:
    """New below `mark`, old from there or from `old_from`."""
    mode = Mode.SHADOW if shadow else Mode.LIVE
    return Assignment(epoch, mark, mark if old_from is None else old_from, mode, stop)


def starts(shards: Shards, key: str) -> bool:
    """Whether an item of the key can be started now."""
    try:
        with shards.item(key):
            return True
    except NotOwned:
        return False


def test_keys_were_chosen_well() -> None:
    assert (slot(LOW), slot(HIGH)) == (0, 999)


def test_each_side_starts_its_own_and_nothing_else(mount: Any, make: Make) -> None:
    mount.put(at(3, 500))
    old, new = make("old"), make("new")
    assert [old.owns(LOW), old.owns(HIGH), new.owns(LOW), new.owns(HIGH)] == [False, True, True, False]
    with old.item(HIGH) as item:
        assert (item.key, item.slot, item.epoch, item.dry_run, item.lost) == (HIGH, 999, 3, False, False)
        assert old.in_flight == 1
    assert old.in_flight == 0
    with pytest.raises(NotOwned, match=r"slot 0 of key '483' is not owned by old as of epoch 3"), old.item(LOW):
        pytest.fail("the block must not run")


def test_a_change_is_seen_within_the_interval_by_whoever_asks(mount: Any, make: Make, clock: Any) -> None:
    mount.put(at(1, 0))
    old = make("old", interval=0.5)
    mount.put(at(2, 500))
    assert starts(old, LOW)  # looked at a moment ago
    clock.now += 0.5
    assert not starts(old, LOW)
    assert (old.obeyed_epoch, old.assignment) == (2, at(2, 500))


def test_an_epoch_is_obeyed_only_once_no_item_of_a_lost_slot_is_in_flight(mount: Any, make: Make) -> None:
    mount.put(at(1, 0))
    old = make("old")
    with old.item(HIGH):
        with ExitStack() as twice:
            first = twice.enter_context(old.item(LOW))
            with old.item(LOW):
                mount.put(at(2, 0, 100))
                assert old.look()
                assert old.obeyed_epoch == 1
                assert first.lost
                assert not starts(old, LOW)
            assert old.obeyed_epoch == 1  # one of the two has ended
        assert old.obeyed_epoch == 2  # HIGH is in flight and was never lost


def test_an_item_that_fails_has_ended_too(mount: Any, make: Make) -> None:
    mount.put(at(1, 0))
    old = make("old")

    def fail() -> None:
        with old.item(LOW):
            mount.put(at(2, 1000))
            old.look()
            raise KeyError(LOW)

    with pytest.raises(KeyError):
        fail()
    assert (old.in_flight, old.obeyed_epoch) == (0, 2)


def test_what_is_given_back_before_the_item_ended_is_obeyed_at_once(mount: Any, make: Make) -> None:
    mount.put(at(1, 0))
    old = make("old")
    with old.item(LOW):
        mount.put(at(2, 0, 100))
        old.look()
        assert old.obeyed_epoch == 1
        mount.put(at(3, 0))
        old.look()
        assert old.obeyed_epoch == 3
        mount.put(at(4, 0, 100))
        old.look()
        assert old.obeyed_epoch == 3
    assert old.obeyed_epoch == 4


def test_epochs_that_were_never_seen_are_obeyed_with_the_next(mount: Any, make: Make) -> None:
    mount.put(at(1, 1000))
    new = make("new")
    mount.put(at(9, 500))
    new.look()
    assert new.obeyed_epoch == 9


def test_stop_takes_everything_from_new_and_nothing_from_old(mount: Any, make: Make) -> None:
    mount.put(at(1, 500))
    old, new = make("old"), make("new")
    with new.item(LOW) as item:
        mount.put(at(2, 500, stop=True))
        old.look()
        new.look()
        assert (new.obeyed_epoch, item.lost) == (1, True)
        assert not starts(new, LOW)
        assert starts(old, HIGH)
    assert (old.obeyed_epoch, new.obeyed_epoch) == (2, 2)


def test_in_shadow_new_rehearses_every_key_if_it_knows_how_to(mount: Any, make: Make) -> None:
    mount.put(at(1, 0, shadow=True))
    old, plain, able = make("old"), make("new"), make("new", dry_run=True)
    assert not starts(plain, LOW)
    assert not able.owns(LOW)
    with able.item(LOW) as low, able.item(HIGH) as high, old.item(LOW) as real:
        assert (low.dry_run, high.dry_run, real.dry_run) == (True, True, False)
        assert able.in_flight == 2
        mount.put(at(2, 500))
        able.look()
        assert able.obeyed_epoch == 2  # a dry-run owns nothing and holds nothing back
        assert not low.lost
        with able.item(LOW) as now:
            assert not now.dry_run
    mount.put(at(3, 0, shadow=True, stop=True))
    able.look()
    assert not starts(able, LOW)


REFUSED = [
    (at(6, 0).dump(), "epoch 6 after epoch 7: epochs never fall"),
    (at(7, 1000).dump(), "epoch 7 says something else than before"),
    (at(8, 1000).dump().replace('"protocol":1', '"protocol":2'), "protocol of the assignment is 2"),
    ("{}", "protocol of the assignment is missing"),
    (b"\xff\xfe", "not UTF-8"),
    ("", "not JSON"),
]


@pytest.mark.parametrize("refused", REFUSED, ids=lambda refused: str(refused[1]))
@pytest.mark.parametrize("side", ["old", "new"])
def test_what_cannot_be_followed_changes_nothing_and_is_told_once(
    side: str, refused: tuple[str | bytes, str], mount: Any, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    contents, why = refused
    mount.put(at(7, 500))
    shards = make(side)
    mount.put(contents)
    assert [shards.look(), shards.look()] == [False, False]
    assert why in shards.refused
    assert [why in record.message for record in caplog.records if record.levelname == "WARNING"] == [True]
    assert "staying with epoch 7" in caplog.text
    assert (shards.obeyed_epoch, shards.assignment) == (7, at(7, 500))
    assert [starts(shards, LOW), starts(shards, HIGH)] == [side == "new", side == "old"]
    mount.put(at(8, 500))
    assert shards.look()
    assert shards.refused == ""


def test_a_file_that_goes_away_changes_nothing(mount: Any, make: Make) -> None:
    mount.put(at(7, 500))
    old = make("old", alone=True)
    mount.remove()
    assert not old.look()
    assert "is not there" in old.refused
    assert [starts(old, LOW), starts(old, HIGH)] == [False, True]


def test_without_any_assignment_nobody_owns_anything(mount: Any, make: Make) -> None:
    for side in ("old", "new"):
        shards = make(side, dry_run=True)
        assert not starts(shards, LOW)
        assert (shards.obeyed_epoch, shards.assignment) == (0, None)
        assert "is not there: is the ConfigMap there, and mounted?" in shards.refused


def test_old_that_is_told_so_owns_everything_until_there_is_an_assignment(mount: Any, make: Make) -> None:
    old = make("old", alone=True)
    assert starts(old, LOW)
    with old.item(LOW):
        mount.put(at(1, 100))
        old.look()
        assert not starts(old, LOW)
        assert old.obeyed_epoch == 0
    assert old.obeyed_epoch == 1
    with pytest.raises(ValueError, match="two owners"):
        make("new", alone=True)


@pytest.mark.parametrize("contents", ["", at(1, 0).dump().replace('"protocol":1', '"protocol":2')])
def test_an_assignment_that_is_not_understood_ends_being_alone(contents: str, mount: Any, make: Make) -> None:
    old = make("old", alone=True)
    mount.put(contents)
    old.look()
    mount.remove()
    old.look()
    assert not starts(old, LOW)
    assert not starts(make("old"), LOW)


def test_a_file_that_cannot_be_read_is_an_assignment_that_is_not_understood(mount: Any, make: Make) -> None:
    mount.path.mkdir(parents=True)
    old = make("old", alone=True)
    assert not starts(old, LOW)
    assert "cannot be followed" in old.refused


def test_a_pod_made_for_an_epoch_follows_no_earlier_one(mount: Any, make: Make) -> None:
    mount.put(at(4, 0))
    old = make("old", floor=5, alone=True)
    assert not starts(old, HIGH)
    assert "epoch 4 is older than this pod, which was made for epoch 5" in old.refused
    mount.put(at(5, 100))
    old.look()
    assert starts(old, HIGH)
    assert old.obeyed_epoch == 5


def test_a_fixed_assignment_is_obeyed_from_the_start() -> None:
    new = Shards("new", assignment=at(4, 500))
    assert (new.obeyed_epoch, starts(new, LOW), starts(new, HIGH), new.look()) == (4, True, False, False)
    with pytest.raises(BadAssignment, match="older than this pod"):
        Shards("new", assignment=at(4, 500), floor=5)


def test_arguments_that_do_not_go_together(mount: Any) -> None:
    for arguments in ((), (mount.path,)):
        with pytest.raises(ValueError, match="one of the two"):
            Shards("old", *arguments, assignment=None if arguments == () else at(1, 0))
    with pytest.raises(ValueError, match="a side is old or new, not 'middle'"):
        Shards("middle", mount.path)


def test_the_pod_s_environment_says_it_all(mount: Any) -> None:
    mount.put(at(3, 500))
    environ = {"SYNCROLLOUT_SIDE": "new", "SYNCROLLOUT_SHARDS_FILE": str(mount.path), "SYNCROLLOUT_POD_UID": "u-1"}
    shards = Shards.from_env({**environ, NAME: at(1, 0).dump(), "SYNCROLLOUT_EPOCH": ""}, dry_run=True)
    assert (shards.side, shards.uid, shards.obeyed_epoch) == ("new", "u-1", 3)
    fixed = Shards.from_env({"SYNCROLLOUT_SIDE": "old", NAME: at(1, 0).dump(), "SYNCROLLOUT_EPOCH": "1"})
    assert fixed.obeyed_epoch == 1
    default = Shards.from_env({"SYNCROLLOUT_SIDE": "old"})
    assert f"/etc/syncrollout/{NAME} is not there" in default.refused


@pytest.mark.parametrize(
    ("environ", "why"),
    [
        ({}, "SYNCROLLOUT_SIDE is not set"),
        ({"SYNCROLLOUT_SIDE": "New"}, "a side is old or new, not 'New'"),
        ({"SYNCROLLOUT_SIDE": "old", "SYNCROLLOUT_EPOCH": "x"}, "SYNCROLLOUT_EPOCH is 'x', not a whole number"),
        ({"SYNCROLLOUT_SIDE": "old", NAME: "?"}, "the variable SYNCROLLOUT_SHARDS: the assignment is not JSON"),
    ],
)
def test_an_environment_that_says_too_little_is_told(environ: dict[str, str], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Shards.from_env(environ)


def test_callbacks_hear_each_change_once_in_order_and_may_use_shards(
    mount: Any, make: Make, clock: Any, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[tuple[int, bool, bool]] = []

    def hear(read: Assignment) -> None:
        if not heard and read.epoch == 1:
            heard.append((1, False, False))  # from within the constructor
            return
        mount.put(at(read.epoch + 1, 0))
        clock.now += 60
        heard.append((read.epoch, starts(shards, LOW), shards.look()))
        raise RuntimeError("broken")

    mount.put(at(1, 0))
    shards = make("old", on_change=hear)
    mount.put(at(2, 0))
    assert shards.look()
    assert shards.look()
    assert [each[0] for each in heard] == [1, 2, 3]
    assert heard[1:] == [(2, True, False), (3, True, False)]
    assert caplog.text.count("on_change failed") == 2


def test_wait_answers_the_next_change(mount: Any, make: Make, clock: Any) -> None:
    mount.put(at(1, 0))
    shards = make("new")
    clock.during = [lambda: None, lambda: mount.put(at(2, 100))]
    assert shards.wait(timeout=10) == at(2, 100)
    assert shards.wait(after=1) == at(2, 100)
    begun = clock.now
    assert shards.wait(timeout=3) is None
    assert clock.now == pytest.approx(begun + 3)


async def test_coroutines_wait_and_work(mount: Any) -> None:
    mount.put(at(1, 0))
    old = Shards("old", mount.path, interval=0.001)
    waiting = asyncio.create_task(old.changed(timeout=20))
    begun, end = asyncio.Event(), asyncio.Event()

    async def work() -> Item:
        with old.item(LOW) as item:
            begun.set()
            await end.wait()
            return item

    working = asyncio.create_task(work())
    cancelled = asyncio.create_task(work())
    await begun.wait()
    mount.put(at(2, 100))
    assert await waiting == at(2, 100)
    assert (old.in_flight, old.obeyed_epoch) == (2, 1)
    cancelled.cancel()
    end.set()
    assert (await working).lost
    await asyncio.gather(cancelled, return_exceptions=True)
    assert (old.in_flight, old.obeyed_epoch) == (0, 2)
    assert await old.changed(after=2, timeout=0) is None


def test_a_thread_looks_where_nobody_else_does(mount: Any) -> None:
    heard = threading.Event()
    mount.put(at(1, 0))
    shards = Shards("old", mount.path, interval=0.001, on_change=lambda read: read.epoch == 2 and heard.set())
    with shards:
        shards.start()
        mount.put(at(2, 0))
        assert heard.wait(20)
    assert not [thread for thread in threading.enumerate() if thread.name == "syncrollout-shards"]


def test_many_threads_never_work_on_what_is_obeyed_to_be_lost(mount: Any) -> None:
    """Whoever reads an obeyed epoch while threads start and end items finds none of a lost slot in flight."""
    mount.put(at(1, 0))
    shards = Shards("old", mount.path, interval=0.0)
    running, done = {LOW: 0, HIGH: 0}, threading.Event()
    lock = threading.Lock()
    started = 0

    def work(key: str) -> None:
        nonlocal started
        while not done.is_set():
            try:
                with shards.item(key):
                    with lock:
                        running[key] += 1
                        started += 1
                    with lock:
                        running[key] -= 1
            except NotOwned:
                pass

    threads = [threading.Thread(target=work, args=(key,)) for key in (LOW, LOW, HIGH, HIGH)]
    for thread in threads:
        thread.start()
    try:
        for epoch in range(2, 40, 2):
            mount.put(at(epoch, 0, 500))
            while shards.obeyed_epoch < epoch:
                assert all(thread.is_alive() for thread in threads)
            with lock:
                assert running[LOW] == 0
            mount.put(at(epoch + 1, 0))
            while shards.obeyed_epoch < epoch + 1:
                pass
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert started > 0
    assert shards.in_flight == 0
