# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""ROS 2 shells around the runtime: parameters, topics, lifecycle, services."""
