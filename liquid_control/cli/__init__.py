"""The command `liquid-control`."""
