"""From weights to a bundle that does what the network does, and back."""
