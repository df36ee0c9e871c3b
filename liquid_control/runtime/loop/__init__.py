# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The fixed rate, its timing, and what the operating system grants."""
