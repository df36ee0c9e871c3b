# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The one handler that launch files here use."""


class OnProcessExit:
    def __init__(self, *, target_action, on_exit) -> None:
        self.target_action = target_action
        self._on_exit = on_exit

    def handle(self, event, context):
        return self._on_exit(event, context)
