"""From bags to a policy bundle: sequences, training, export."""
