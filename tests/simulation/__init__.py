"""Deterministic simulation of the whole operator below the composition root.

The API server is `fakes.kube`, Prometheus is a script, everything else is the real thing: informers, controller, work
queue, reconciler, performer, story. It runs on a loop of virtual time (`loop`), and everything random comes from one
seed. `faults` spoils calls, `people` interfere, `invariants` looks at every effective call, `scenarios` says what
a seed means and where it must end.
"""
