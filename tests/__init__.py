"""A package by name, because a library that the tests use (canaille) installs a `tests` of its own."""
