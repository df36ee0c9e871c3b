# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Evidence: replay comparison, closed-loop scores, reports."""
