"""Backtest: the same decisions on what Prometheus has recorded, to see what a rollout would have done."""
