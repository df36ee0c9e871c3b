# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What runs on the robot: numpy, onnxruntime and opencv; neither rclpy nor torch."""
