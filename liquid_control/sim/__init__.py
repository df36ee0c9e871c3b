# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The embedded simulator: a MuJoCo car with a camera and an IMU on a painted track."""

import os
from contextlib import suppress

if os.environ.get('MUJOCO_GL') == 'osmesa':
    # Then MuJoCo binds OpenGL as soon as it is imported: the library must have been found by then.
    from liquid_control.sim import gl

    with suppress(gl.RenderingError):
        gl.backend()
