"""Gathering facts: readings, workloads, routes."""
