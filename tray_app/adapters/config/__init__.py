"""`config.toml`: parsed, checked and edited."""
