# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Neurons and synapses silenced one by one: which of them drive."""
