"""An embedded authorization server on loopback that can be made to misbehave, with its page."""
