"""Groups of commands that are imported when one of them is asked for: `cli` names them and imports none."""
