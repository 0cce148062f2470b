"""Values and pure functions: what is known of an account and what follows from it. No clock, no I/O."""
