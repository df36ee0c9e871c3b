# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What tests of the runtime share."""

from pathlib import Path

import pytest
from support.runners import Drive


@pytest.fixture
def drive(tmp_path: Path) -> Drive:
    return Drive(tmp_path, speed=True)
