"""From what was gathered of a rollout and its two systems to what is wrong: pure, no I/O, no clock."""
