# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Simulator, policy node and recorder together, and what came of it."""
