"""What every other part uses: log, paths, clock, translation, HTTP. Nothing in here knows an account."""
