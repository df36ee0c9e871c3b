"""Studies of policies that drive the simulated car."""
