"""Fast DDS settings under which camera images arrive."""

import os
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

# Fast DDS 2 (Humble, Jazzy) and 3 (Kilted and later) each have their own.
_VARIABLES = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')


def use_default_profile() -> None:
    """Set our Fast DDS profile for this process and its children, unless the user has one.

    Only what is called before `rclpy.init` has an effect. Why it is needed is told in the profile,
    config/fastdds.xml.
    """
    if any(variable in os.environ for variable in _VARIABLES):
        return
    for variable in _VARIABLES:
        os.environ[variable] = str(_config_directory() / 'fastdds.xml')


def _config_directory() -> Path:
    source = Path(__file__).resolve().parents[2] / 'config'
    if source.is_dir():
        return source
    try:
        return Path(get_package_share_directory('liquid_control')) / 'config'
    except (PackageNotFoundError, OSError) as error:
        raise RuntimeError('config/ of liquid_control not found: source its workspace') from error
