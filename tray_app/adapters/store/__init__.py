"""Tokens at rest, facts on disk, and the locks that keep processes apart."""
