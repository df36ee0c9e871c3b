# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""From weights to a bundle that does what the network does, and back."""
