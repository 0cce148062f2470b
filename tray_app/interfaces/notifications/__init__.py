"""When to notify the person, and how on this desktop."""
