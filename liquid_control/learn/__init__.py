# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""From bags to a policy bundle: sequences, training, export."""
