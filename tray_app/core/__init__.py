"""Values and pure functions: the state of an account and what follows from it. No clock, no I/O."""
