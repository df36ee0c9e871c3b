# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The events that launch files here use."""


class Shutdown:
    def __init__(self, *, reason: str) -> None:
        self.reason = reason
