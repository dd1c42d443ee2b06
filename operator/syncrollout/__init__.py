"""SyncRollout: moves work from an old system to a new one, phase by phase, and back."""
