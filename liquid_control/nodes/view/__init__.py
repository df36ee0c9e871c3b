# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The live view: a page that shows the robot and lets a person steer it."""
