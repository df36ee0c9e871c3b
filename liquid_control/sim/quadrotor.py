# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A small quadrotor: its body in MJCF, and how a velocity setpoint becomes thrust.

An X frame with 25 cm from one rotor to the next and 1 kg, the size of a small research drone. What
it touches with is one sphere about the frame; everything else is for the eye.
"""

from __future__ import annotations

import math
from typing import ClassVar

import mujoco
import numpy as np

from liquid_control.sim.flight_controller import (
    ARM,
    GRAVITY,
    INERTIA,
    MASS,
    MAX_THRUST,
    ROTORS,
    TORQUE_PER_THRUST,
    FlightController,
)
from liquid_control.sim.protocols import PREFIX, Command, Motion, Pose

PHYSICS_STEP_NS = 2_500_000
"""400 Hz: IMU (200 Hz), odometry (50 Hz) and control (20 Hz) all fall on whole steps."""

ROTOR_LAG = 0.035
"""Time constant of a rotor's thrust, s."""
DRAG = 0.30
"""In moving air, N per m/s: mostly the rotors', hence linear."""
RADIUS = 0.22
"""Of the sphere that it touches with, m."""

CAMERA_X = 0.22
"""How far the lens sits in front of the middle, m: no propeller turns in its image."""
CHASE_CAMERA = 'chase'
"""Behind it, for people."""


def _rotor(index: int) -> str:
    x, y, _ = ROTORS[index]
    place = f'{x * ARM} {y * ARM} .02'
    return f"""
      <site name="rotor_{index}" pos="{place}"/>
      <geom class="seen" type="capsule" fromto="0 0 0 {place}" size=".011" rgba=".2 .2 .24 1"/>
      <geom class="seen" type="cylinder" pos="{x * ARM} {y * ARM} .035" size=".085 .003"
            rgba=".75 .77 .80 .55"/>"""


def _actuator(index: int) -> str:
    """The control is the thrust asked for, N; what comes lags behind."""
    return f"""
    <general name="rotor_{index}" site="rotor_{index}" ctrlrange="0 {MAX_THRUST}"
             gear="0 0 1 0 0 {ROTORS[index][2] * TORQUE_PER_THRUST}" dyntype="filterexact"
             dynprm="{ROTOR_LAG}" gaintype="fixed" gainprm="1"/>"""


_MJCF = f"""
<mujoco model="quadrotor">
  <compiler angle="radian" autolimits="true"/>
  <option timestep="{PHYSICS_STEP_NS / 1e9}" integrator="implicitfast"/>
  <default>
    <default class="seen"><geom contype="0" conaffinity="0" mass="0" group="2"/></default>
  </default>
  <worldbody>
    <body name="base_link">
      <freejoint name="root"/>
      <inertial pos="0 0 0" mass="{MASS}" diaginertia="{' '.join(map(str, INERTIA))}"/>
      <geom name="hull" type="sphere" size="{RADIUS}" mass="0" condim="1" group="3"/>
      <geom class="seen" type="box" size=".09 .05 .025" rgba=".14 .15 .17 1"/>
      <geom class="seen" type="box" size=".05 .035 .015" pos="0 0 .035" rgba=".9 .55 .1 1"/>
      {''.join(_rotor(index) for index in range(len(ROTORS)))}
      <site name="imu"/>
      <camera name="{CHASE_CAMERA}" pos="-2.2 0 .9" fovy="60" xyaxes="0 -1 0 .28 0 .96"/>
    </body>
  </worldbody>
  <actuator>{''.join(_actuator(index) for index in range(len(ROTORS)))}</actuator>
  <sensor>
    <accelerometer name="accelerometer" site="imu"/>
    <gyro name="gyro" site="imu"/>
  </sensor>
</mujoco>"""


def command(
    velocity_x: float = 0.0,
    velocity_y: float = 0.0,
    velocity_z: float = 0.0,
    yaw_rate: float = 0.0,
) -> Command:
    """A velocity setpoint: m/s forward and left on the level and up, rad/s to the left."""
    return {
        'velocity_x': velocity_x,
        'velocity_y': velocity_y,
        'velocity_z': velocity_z,
        'yaw_rate': yaw_rate,
    }


class Quadrotor:
    """Its `base_link` is the middle of the frame. The air that it flies in is `model.opt.wind`."""

    name: ClassVar[str] = 'quadrotor'
    commands: ClassVar[tuple[str, ...]] = ('velocity_x', 'velocity_y', 'velocity_z', 'yaw_rate')

    def spec(self) -> mujoco.MjSpec:
        """Described above."""
        return mujoco.MjSpec.from_string(_MJCF)

    def bind(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        """Find body, joint and rotors."""
        self._model, self._data = model, data
        root = model.joint(f'{PREFIX}root')
        self._position = slice(int(root.qposadr[0]), int(root.qposadr[0]) + 7)
        self._velocity = slice(int(root.dofadr[0]), int(root.dofadr[0]) + 6)
        self._body = int(model.body(f'{PREFIX}base_link').id)
        rotors = [model.actuator(f'{PREFIX}rotor_{index}').id for index in range(len(ROTORS))]
        self._rotors = slice(int(rotors[0]), int(rotors[-1]) + 1)
        first = int(model.actuator_actadr[rotors[0]])
        self._thrusts = slice(first, first + len(ROTORS))
        self._controller = FlightController(PHYSICS_STEP_NS / 1e9)
        self._rotation = np.empty(9)

    def place(self, pose: Pose) -> None:
        """Let it hover at rest at a pose."""
        mujoco.mj_resetData(self._model, self._data)
        upright = (math.cos(pose.yaw / 2.0), 0.0, 0.0, math.sin(pose.yaw / 2.0))
        self._data.qpos[self._position] = (pose.x, pose.y, pose.z, *upright)
        self._data.act[self._thrusts] = MASS * GRAVITY / len(ROTORS)
        self._controller.reset()
        mujoco.mj_forward(self._model, self._data)

    def advance(self, command: Command) -> None:
        """One physics step under a setpoint; the flight controller's limits apply."""
        x, y, z, roll, pitch, yaw = self._data.qvel[self._velocity].tolist()
        setpoint = (
            command['velocity_x'],
            command['velocity_y'],
            command['velocity_z'],
            command['yaw_rate'],
        )
        self._data.ctrl[self._rotors] = self._controller.thrusts(
            setpoint, (x, y, z), self._attitude(), (roll, pitch, yaw)
        )
        air_x, air_y, air_z = self._model.opt.wind.tolist()
        drag = (DRAG * (air_x - x), DRAG * (air_y - y), DRAG * (air_z - z))
        self._data.xfrc_applied[self._body, :3] = drag
        mujoco.mj_step(self._model, self._data)

    def motion(self) -> Motion:
        """Where it is and how it moves."""
        x, y, z = self._data.qpos[self._position].tolist()[:3]
        vx, vy, vz, roll_rate, pitch_rate, yaw_rate = self._data.qvel[self._velocity].tolist()
        r = self._attitude()
        return Motion(
            x=x,
            y=y,
            z=z,
            yaw=math.atan2(r[3], r[0]),
            pitch=math.asin(min(max(-r[6], -1.0), 1.0)),
            roll=math.atan2(r[7], r[8]),
            speed=r[0] * vx + r[3] * vy + r[6] * vz,
            velocity_y=r[1] * vx + r[4] * vy + r[7] * vz,
            velocity_z=r[2] * vx + r[5] * vy + r[8] * vz,
            roll_rate=roll_rate,
            pitch_rate=pitch_rate,
            yaw_rate=yaw_rate,
        )

    def _attitude(self) -> list[float]:
        """Body to world, row by row, [9]."""
        mujoco.mju_quat2Mat(self._rotation, self._data.qpos[self._position][3:])
        attitude: list[float] = self._rotation.tolist()
        return attitude
