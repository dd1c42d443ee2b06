"""Figures on real parts: `make bench` runs them all and writes docs/benchmarks.md."""
