# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What all nodes share: lifecycle, parameters, DDS settings."""
