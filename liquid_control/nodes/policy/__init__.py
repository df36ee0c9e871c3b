"""The policy node: sensors in, commands out at a fixed rate."""
