"""Authorization servers: discovery, sign-in, exchange, refresh, revocation; each function names its RFC."""
