"""Token stores, facts on disk, and locks between processes."""
