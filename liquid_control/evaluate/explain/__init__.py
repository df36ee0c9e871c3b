# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What a policy looks at, and what its neurons do, on a recording: `liquid-control explain`."""
