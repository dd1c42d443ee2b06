"""End-to-end scenarios: the operator as a real process, with exactly the rights of `manifests/`, on real parts."""
