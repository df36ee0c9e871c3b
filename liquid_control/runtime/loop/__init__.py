"""The fixed rate, its timing, and what the operating system grants."""
