# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Launch files in Python."""

import runpy

from launch import LaunchContext, LaunchDescription


class PythonLaunchDescriptionSource:
    def __init__(self, path: str) -> None:
        self._path = path

    def get_launch_description(self, context: LaunchContext) -> LaunchDescription:
        return runpy.run_path(self._path)['generate_launch_description']()
