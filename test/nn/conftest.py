# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""One thread for every test: the networks are small, and the machine is shared."""

import torch

torch.set_num_threads(1)
