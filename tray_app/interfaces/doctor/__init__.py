"""What works on this desktop and what does not: each check does the thing, and each "cannot" has its remedy."""
