# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Closed-loop drives in simulated time: drivers, experts, collection, laps."""
