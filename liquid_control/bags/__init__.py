# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Reading and writing rosbag2 recordings, with and without ROS installed."""
