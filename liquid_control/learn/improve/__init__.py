"""Collect, retrain, evaluate, keep what is better."""
