# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What a policy is: its contract, its bundle and the checks before anything of it runs."""
