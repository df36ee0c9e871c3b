# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Stands in for ROS 2's `launch_ros` where that is not installed."""
