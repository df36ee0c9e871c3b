# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Studies of cells alone, in torch: no robot, no simulator."""
