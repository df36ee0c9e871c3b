"""From a recipe and windows to weights."""
