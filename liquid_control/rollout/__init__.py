"""Closed-loop drives in simulated time: drivers, experts, collection, laps."""
