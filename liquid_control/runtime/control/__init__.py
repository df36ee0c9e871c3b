# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""One tick: the policy, the controller that decides who drives, the safety envelope."""
