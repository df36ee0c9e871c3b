# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Several networks of one shape as one policy: it commands the mean of what its members command.

Members begin from weights of their own and are trained apart, so they err apart where the
recordings leave them a choice, and their mean errs less (Lakshminarayanan et al., Simple and
scalable predictive uncertainty estimation using deep ensembles, 2017). One network is an ensemble
of one: whoever asks either for its `members` treats both alike.
"""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from torch import nn

from liquid_control.contract.contract import NetworkSpec
from liquid_control.nn.policy import NetworkConfig, PolicyNetwork


class Ensemble(nn.Module):
    """The members side by side; a bundle runs them in the same two graphs as one network.

    Attributes:
        config: of the whole.
        state_size: numbers that go from step to step, of all members.
    """

    def __init__(self, config: NetworkConfig):
        super().__init__()
        self.config = config
        alone = replace(config, members=1)
        self.networks = nn.ModuleList(PolicyNetwork(alone) for _ in range(config.members))
        self.state_size = sum(member.state_size for member in self.members)

    @property
    def members(self) -> tuple[PolicyNetwork, ...]:
        return tuple(cast(PolicyNetwork, network) for network in self.networks)

    def spec(self) -> NetworkSpec:
        """What the bundle's contract says of the networks, all together."""
        specs = [member.spec() for member in self.members]
        return replace(
            specs[0],
            neurons=sum(spec.neurons for spec in specs),
            synapses=sum(spec.synapses for spec in specs),
            parameters=sum(spec.parameters for spec in specs),
            state_size=self.state_size,
            config=self.config.shape(),
        )


AnyPolicy = PolicyNetwork | Ensemble


def make_policy(config: NetworkConfig) -> AnyPolicy:
    """A new network, or several where the shape has several members."""
    return PolicyNetwork(config) if config.members == 1 else Ensemble(config)
