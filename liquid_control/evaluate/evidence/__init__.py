# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Claims about liquid networks, each a command that measures it and writes a report."""
