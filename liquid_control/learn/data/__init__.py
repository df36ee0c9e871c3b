"""From bags to training windows."""
