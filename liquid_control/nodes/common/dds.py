# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Fast DDS settings under which camera images arrive."""

import os
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

from liquid_control.common.assets import config_file

# Fast DDS 2 (Humble, Jazzy) and 3 (Kilted and later) each have their own; under 3 the middleware
# warns of the older.
_FAST_DDS_2 = 'FASTRTPS_DEFAULT_PROFILES_FILE'
_FAST_DDS_3 = 'FASTDDS_DEFAULT_PROFILES_FILE'


def use_default_profile() -> None:
    """Set our Fast DDS profile for this process and its children, unless the user has one.

    Only what is called before `rclpy.init` has an effect. Why it is needed is told in the profile,
    config/fastdds.xml.
    """
    if _FAST_DDS_2 in os.environ or _FAST_DDS_3 in os.environ:
        return
    variable = _FAST_DDS_3 if _middleware_has_fast_dds_3() else _FAST_DDS_2
    os.environ[variable] = str(config_file('fastdds.xml'))


def _middleware_has_fast_dds_3() -> bool:
    """By what the middleware's package says: with version 3 `fastrtps` became `fastdds`."""
    try:
        share = get_package_share_directory('rmw_fastrtps_shared_cpp')
        return '>fastdds</' in Path(share, 'package.xml').read_text(encoding='utf-8')
    except (PackageNotFoundError, OSError):
        return False
