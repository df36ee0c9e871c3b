# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Large arrays of a training lie in memory that was there before."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

# Fresh processes: what is set holds for all of one, for ever.
COUNTED = """
import resource, sys
import numpy as np
from liquid_control.learn.train.allocator import reuse_memory

if sys.argv[1] == 'reused':
    assert reuse_memory()

def faults(times):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        np.ones(6 * 2**20)  # more than glibc ever keeps by itself
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults(2)
print(faults(20))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='of glibc')
def test_what_is_freed_is_used_again_without_asking_the_system() -> None:
    mapped, reused = (
        int(subprocess.check_output([sys.executable, '-c', COUNTED, how]))
        for how in ('mapped', 'reused')
    )
    assert reused < mapped / 4
