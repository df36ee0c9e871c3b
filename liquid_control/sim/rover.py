# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A small differential robot, about a TurtleBot: two driven wheels, two casters, round."""

from __future__ import annotations

from typing import ClassVar

import mujoco

from liquid_control.sim.ground_robot import GroundRobot
from liquid_control.sim.protocols import PREFIX, Command, Motion, Pose

PHYSICS_STEP_NS = 10_000_000
RADIUS = 0.17
"""Of the round base, m: whatever comes nearer than that touches it."""
WHEEL_RADIUS = 0.036
WHEEL_DISTANCE = 0.233
MAX_SPEED = 0.4
MAX_YAW_RATE = 1.5
_MAX_ACCELERATION = 1.0
"""Of the motor controller's ramp, m/s^2."""
_MAX_TURN = 6.0
"""Likewise of the yaw rate, rad/s^2."""
_SETTLING_STEPS = 15

_MJCF = f"""
<mujoco model="rover">
  <compiler angle="radian" autolimits="true"/>
  <option timestep="{PHYSICS_STEP_NS / 1e9}" integrator="implicitfast" cone="elliptic"/>
  <default>
    <default class="shell"><geom contype="0" conaffinity="0" mass="0" group="2"/></default>
    <default class="wheel">
      <joint type="hinge" axis="0 1 0" damping=".002" armature=".0005"/>
      <geom type="ellipsoid" size="{WHEEL_RADIUS} .012 {WHEEL_RADIUS}" mass=".1" condim="3"
            friction="1.2 .005 .0005" priority="1" group="3"/>
    </default>
    <default class="caster">
      <geom type="sphere" size=".012" mass=".02" friction="0 0 0" condim="1" priority="2"
            group="3"/>
    </default>
  </default>
  <worldbody>
    <body name="base_link" pos="0 0 {WHEEL_RADIUS}">
      <freejoint name="root"/>
      <geom name="base" type="cylinder" size="{RADIUS} .04" pos="0 0 .03" mass="3" group="3"
            friction=".3 .005 .0005"/>
      <geom class="shell" type="cylinder" size="{RADIUS} .04" pos="0 0 .03" rgba=".2 .2 .22 1"/>
      <geom class="shell" type="cylinder" size=".04 .02" pos="0 0 .164" rgba=".1 .1 .1 1"/>
      <geom class="shell" type="box" size=".02 .06 .012" pos=".15 0 .06" rgba=".2 .7 .3 1"/>
      <geom class="caster" pos=".13 0 -.0225"/>
      <geom class="caster" pos="-.13 0 -.0225"/>
      <site name="imu"/>
      <body name="left" pos="0 {WHEEL_DISTANCE / 2} 0">
        <joint name="left_spin" class="wheel"/><geom class="wheel"/>
      </body>
      <body name="right" pos="0 {-WHEEL_DISTANCE / 2} 0">
        <joint name="right_spin" class="wheel"/><geom class="wheel"/>
      </body>
    </body>
  </worldbody>
  <actuator>
    <velocity name="left" joint="left_spin" kv=".5" forcerange="-1 1"/>
    <velocity name="right" joint="right_spin" kv=".5" forcerange="-1 1"/>
  </actuator>
</mujoco>"""


def command(velocity_x: float = 0.0, yaw_rate: float = 0.0) -> Command:
    """A command to the rover: m/s forward, rad/s to the left."""
    return {'velocity_x': velocity_x, 'yaw_rate': yaw_rate}


class Rover(GroundRobot):
    """Its `base_link` is on the floor, in the middle between the wheels."""

    name: ClassVar[str] = 'rover'
    commands: ClassVar[tuple[str, ...]] = ('velocity_x', 'yaw_rate')

    def spec(self) -> mujoco.MjSpec:
        """Described above."""
        return mujoco.MjSpec.from_string(_MJCF)

    def bind(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        """Find the joints and actuators."""
        super().bind(model, data)
        self._left, self._right = (
            int(model.actuator(f'{PREFIX}{name}').id) for name in ('left', 'right')
        )
        self._speed = self._yaw_rate = 0.0

    def place(self, pose: Pose) -> None:
        """Put the rover at rest on the floor."""
        self._put(pose, WHEEL_RADIUS)
        self._speed = self._yaw_rate = 0.0
        for _ in range(_SETTLING_STEPS):
            self.advance(command())

    def advance(self, command: Command) -> None:
        """One physics step under a command; limits of the motors apply."""
        self._speed = _ramp(self._speed, command['velocity_x'], MAX_SPEED, _MAX_ACCELERATION)
        self._yaw_rate = _ramp(self._yaw_rate, command['yaw_rate'], MAX_YAW_RATE, _MAX_TURN)
        turn = self._yaw_rate * WHEEL_DISTANCE / 2.0
        self._data.ctrl[self._left] = (self._speed - turn) / WHEEL_RADIUS
        self._data.ctrl[self._right] = (self._speed + turn) / WHEEL_RADIUS
        mujoco.mj_step(self._model, self._data)

    def motion(self) -> Motion:
        """Where it is and how it moves."""
        x, y, yaw, speed, velocity_y, yaw_rate = self._planar()
        return Motion(x=x, y=y, yaw=yaw, speed=speed, velocity_y=velocity_y, yaw_rate=yaw_rate)


def _ramp(now: float, wanted: float, largest: float, rate: float) -> float:
    """One physics step towards what is wanted, within limits of value and rate."""
    change = rate * PHYSICS_STEP_NS / 1e9
    wanted = min(max(wanted, -largest), largest)
    return now + min(max(wanted - now, -change), change)
