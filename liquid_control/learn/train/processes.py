# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Several processes that train one policy together, on one machine or more."""

from __future__ import annotations

import os
from dataclasses import dataclass

from liquid_control.common.errors import ConfigError


@dataclass(frozen=True)
class Processes:
    """How many there are, and which one this is: rank 0 prints and writes."""

    count: int = 1
    rank: int = 0
    per_machine: int = 1

    @classmethod
    def of_this_run(cls) -> Processes:
        """As `torchrun` says in the environment; without it one."""
        names = ('WORLD_SIZE', 'RANK', 'LOCAL_WORLD_SIZE')
        if any(name not in os.environ for name in names):
            return cls()
        return cls(*(int(os.environ[name]) for name in names))

    @property
    def machines(self) -> int:
        """How many of them."""
        return self.count // self.per_machine

    def share(self, batch_size: int) -> int:
        """Windows of a batch for each process: a batch stays as large as the recipe says.

        Raises:
            ConfigError: they cannot be shared out evenly.
        """
        if batch_size % self.count:
            raise ConfigError(
                f'a batch of {batch_size} windows cannot be shared evenly by {self.count} '
                'processes: change fit.batch_size in the recipe, or their number'
            )
        return batch_size // self.count
