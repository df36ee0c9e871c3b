# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""`liquid-control teach`: a person drives on the page, a policy learns from it, and drives."""
