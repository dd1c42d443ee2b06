"""Pure decisions: no I/O, no clock, no framework. Everything that is true of the world arrives as facts."""
