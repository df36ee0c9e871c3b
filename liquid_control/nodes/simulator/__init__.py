"""The simulated car as a node."""
