# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""From message bytes to the observation of a tick."""
