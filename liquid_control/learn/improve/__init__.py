# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Collect, retrain, evaluate, keep what is better."""
