"""Keeps the accounts fresh. Knows no adapter: the world is handed in as ports."""
