"""SyncRollout: moves work from an old system to a new one, phase by phase, and back."""

from importlib.metadata import version

__version__ = version("syncrollout")
"""This release."""
