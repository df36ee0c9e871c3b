"""Claims about liquid networks, each a command that measures it and writes a report."""
