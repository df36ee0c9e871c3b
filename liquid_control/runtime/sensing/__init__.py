"""From message bytes to the observation of a tick."""
