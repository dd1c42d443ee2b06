"""Fuzzing: what comes from outside is made up, and must neither break anything nor pass for what it is not.

`make fuzz` lets libFuzzer (by atheris) look for a minute at each target; `make test` for some seconds, and tries every
input that is kept in `corpus/`. docs/fuzzing.md tells what to do with what it finds.
"""
