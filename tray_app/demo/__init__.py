"""An embedded authorization server on loopback that can be told to misbehave, with its page."""
