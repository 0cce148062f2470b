"""Shared by all other parts: log, paths, clock, translation, HTTP. Nothing in here knows an account."""
