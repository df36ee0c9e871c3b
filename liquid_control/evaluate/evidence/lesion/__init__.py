"""Neurons and synapses silenced one by one: which of them drive."""
