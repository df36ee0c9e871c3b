"""What a policy's command follows: what matters, or what does not."""
