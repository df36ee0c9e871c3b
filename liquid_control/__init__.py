# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Drive robots with liquid neural networks under ROS 2."""

from pkgutil import extend_path

# The generated messages (liquid_control.msg) live in colcon's install tree, the code may be
# imported from the source tree: both belong to this one package.
__path__ = extend_path(__path__, __name__)

__version__ = '0.1.0'
