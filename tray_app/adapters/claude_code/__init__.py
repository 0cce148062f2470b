"""Claude Code's own sign-in: watched, and started again by the person's own program. Its tokens are never kept here."""
