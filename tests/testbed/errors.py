"""Errors of the testbed. Each message is one sentence or two: what is wrong, where, what to do next."""

from __future__ import annotations


class TestbedError(Exception):
    """Something about the real parts is wrong; the message is meant for the person who ran the command."""

    __test__ = False  # the name begins with "Test": keep pytest from collecting it


class TimedOut(TestbedError):
    """A thing that was waited for did not come about before its deadline."""


class ProcessDied(TestbedError):
    """A program of the testbed ended although it should be running."""


class BuildFailed(TestbedError):
    """A program could not be had: neither found on PATH, nor installed, nor built."""


class NamespaceForbidden(TestbedError):
    """The system lets this user make no network namespace."""


class NotHere(TestbedError):
    """The cluster in use cannot do that; tests that need it are skipped with this as the reason."""
