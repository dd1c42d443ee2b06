"""Where the operator goes for a rollout, and how it gets there: the one place that decides."""
