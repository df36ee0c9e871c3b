# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Names of topics that one of our nodes publishes and another one reads."""

from __future__ import annotations

from collections.abc import Iterable


def attention_topic(policy_node: str, camera: str, cameras: Iterable[str]) -> str:
    """Where the policy node shows what its policy looks at in one of the policy's cameras."""
    first = next(iter(cameras))
    return f'{policy_node}/attention' + ('' if camera == first else f'/{camera}')
