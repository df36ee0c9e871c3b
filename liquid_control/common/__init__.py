# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What every room needs and no room owns: errors, files, records, jobs."""
