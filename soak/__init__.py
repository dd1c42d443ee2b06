"""The endurance run: `make soak`. `docs/endurance.md` says what it does and what came of it."""
