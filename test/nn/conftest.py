"""One thread for every test: the networks are small, and the machine is shared."""

import torch

torch.set_num_threads(1)
