"""Fast DDS settings under which camera images arrive."""

import os

from liquid_control.nodes.share import share_directories

# Fast DDS 2 (Humble, Jazzy) and 3 (Kilted and later) each have their own.
_VARIABLES = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')


def use_default_profile() -> None:
    """Set our Fast DDS profile for this process and its children, unless the user has one.

    Only what is called before `rclpy.init` has an effect. Why it is needed is told in the profile,
    config/fastdds.xml.
    """
    if any(variable in os.environ for variable in _VARIABLES):
        return
    profiles = [folder / 'config' / 'fastdds.xml' for folder in share_directories()]
    for variable in _VARIABLES:
        os.environ[variable] = str(next(file for file in profiles if file.is_file()))
