"""Fast DDS settings under which camera images arrive."""

import os

from ament_index_python.packages import get_packages_with_prefixes

from liquid_control.runtime.assets import config_file

# Fast DDS 2 (Humble, Jazzy) and 3 (Kilted and later) each have their own; 3 warns of the older.
_FAST_DDS_2 = 'FASTRTPS_DEFAULT_PROFILES_FILE'
_FAST_DDS_3 = 'FASTDDS_DEFAULT_PROFILES_FILE'


def use_default_profile() -> None:
    """Set our Fast DDS profile for this process and its children, unless the user has one.

    Only what is called before `rclpy.init` has an effect. Why it is needed is told in the profile,
    config/fastdds.xml.
    """
    if _FAST_DDS_2 in os.environ or _FAST_DDS_3 in os.environ:
        return
    # With version 3 the package `fastrtps` became `fastdds`.
    variable = _FAST_DDS_3 if 'fastdds' in get_packages_with_prefixes() else _FAST_DDS_2
    os.environ[variable] = str(config_file('fastdds.xml'))
