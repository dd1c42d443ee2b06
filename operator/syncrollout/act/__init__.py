"""Carrying decisions out: weights, scale, events."""
