# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""From torch modules to ONNX graphs, written node by node: one control step, one camera frame."""
