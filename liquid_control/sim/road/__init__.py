# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What makes a road hard to drive, a module for each idea; at strength 0 nothing of it is."""
