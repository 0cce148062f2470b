"""What works on this desktop and what does not: each check tries the real thing, and each failure has its remedy."""
