"""The operating system and the desktop session: browser, clipboard, start at login, system events."""
