"""Simulator, policy node and recorder together, and what came of it."""
