# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The 1/10 car with Ackermann steering: its body, and how a command becomes angles and torque."""

from __future__ import annotations

import math
from typing import ClassVar

import mujoco

from liquid_control.sim.ground_robot import GroundRobot
from liquid_control.sim.protocols import PREFIX, Command, Motion, Pose

PHYSICS_STEP_NS = 2_500_000
"""400 Hz: IMU (200 Hz), odometry (50 Hz) and control (20 Hz) all fall on whole steps."""

WHEELBASE = 0.325
TRACK_WIDTH = 0.24
"""Distance between the left and the right wheels, m."""
WHEEL_RADIUS = 0.054
MAX_STEERING_ANGLE = 0.5
"""Largest angle of the bicycle model's front wheel, rad."""
MAX_ACCELERATION = 3.0
"""The motor controller's ramp when speeding up, m/s^2; a step from rest would spin the wheels."""
MAX_DECELERATION = 4.0
"""The motor controller's ramp when braking, m/s^2."""

CAMERA_X = WHEELBASE - 0.02
"""Where the camera sits on `base_link`, m."""
CHASE_CAMERA = 'chase'
"""Behind the car, for people."""

_SETTLING_STEPS = 80
"""How long the tyres take to carry the weight after the car was put down, physics steps."""

# Tyres: condim 3, because the fourth (torsional) direction makes the accelerometer all noise.
_MJCF = f"""
<mujoco model="car">
  <compiler angle="radian" autolimits="true"/>
  <option timestep="{PHYSICS_STEP_NS / 1e9}" integrator="implicitfast" cone="elliptic"
          impratio="10"/>
  <default>
    <default class="shell"><geom contype="0" conaffinity="0" mass="0"/></default>
    <default class="spin">
      <joint type="hinge" axis="0 1 0" damping=".0005" armature=".0002" frictionloss=".002"/>
    </default>
    <default class="steer">
      <joint type="hinge" axis="0 0 1" range="-.62 .62" damping=".02" armature=".0005"/>
    </default>
    <default class="tyre">
      <geom type="ellipsoid" size="{WHEEL_RADIUS} .022 {WHEEL_RADIUS}" mass=".1" condim="3"
            friction="1.1 .005 .0005" solref=".01 1" priority="1" group="3"/>
    </default>
    <default class="rim">
      <geom type="cylinder" size="{WHEEL_RADIUS} .022" euler="{math.pi / 2} 0 0" contype="0"
            conaffinity="0" mass="0" rgba=".10 .10 .10 1"/>
    </default>
  </default>
  <worldbody>
    <body name="base_link" pos="0 0 {WHEEL_RADIUS}">
      <freejoint name="root"/>
      <inertial pos="{WHEELBASE / 2} 0 .02" mass="2.2" diaginertia=".010 .030 .034"/>
      <geom name="chassis" class="shell" type="box" pos="{WHEELBASE / 2} 0 .012"
            size=".21 .075 .016" rgba=".16 .17 .20 1"/>
      <geom class="shell" type="box" pos="{WHEELBASE / 2} 0 .042" size=".20 .070 .016"
            rgba=".82 .16 .12 1"/>
      <geom class="shell" type="box" pos="{WHEELBASE / 2 - 0.05} 0 .075" size=".09 .058 .020"
            rgba=".13 .15 .19 1"/>
      <geom class="shell" type="box" pos="-.055 0 .085" size=".018 .085 .006"
            rgba=".82 .16 .12 1"/>
      <geom class="shell" type="cylinder" pos="{WHEELBASE - 0.055} 0 .088" size=".008 .035"
            rgba=".75 .75 .78 1"/>
      <camera name="{CHASE_CAMERA}" pos="-.85 0 .5" fovy="60" xyaxes="0 -1 0 .42 0 .907"/>
      <site name="imu" pos="{WHEELBASE / 2} 0 .03"/>
      <body name="rear_left" pos="0 {TRACK_WIDTH / 2} 0">
        <joint name="rear_left_spin" class="spin"/><geom class="tyre"/><geom class="rim"/>
      </body>
      <body name="rear_right" pos="0 {-TRACK_WIDTH / 2} 0">
        <joint name="rear_right_spin" class="spin"/><geom class="tyre"/><geom class="rim"/>
      </body>
      <body name="front_left_knuckle" pos="{WHEELBASE} {TRACK_WIDTH / 2} 0">
        <inertial pos="0 0 0" mass=".05" diaginertia="3e-5 3e-5 3e-5"/>
        <joint name="front_left_steer" class="steer"/>
        <body name="front_left">
          <joint name="front_left_spin" class="spin"/><geom class="tyre"/><geom class="rim"/>
        </body>
      </body>
      <body name="front_right_knuckle" pos="{WHEELBASE} {-TRACK_WIDTH / 2} 0">
        <inertial pos="0 0 0" mass=".05" diaginertia="3e-5 3e-5 3e-5"/>
        <joint name="front_right_steer" class="steer"/>
        <body name="front_right">
          <joint name="front_right_spin" class="spin"/><geom class="tyre"/><geom class="rim"/>
        </body>
      </body>
    </body>
  </worldbody>
  <tendon>
    <fixed name="differential">
      <joint joint="rear_left_spin" coef=".5"/><joint joint="rear_right_spin" coef=".5"/>
    </fixed>
  </tendon>
  <actuator>
    <position name="steer_left" joint="front_left_steer" kp="3" kv=".06" forcerange="-2 2"/>
    <position name="steer_right" joint="front_right_steer" kp="3" kv=".06" forcerange="-2 2"/>
    <velocity name="motor" tendon="differential" kv=".08" forcerange="-.9 .9"/>
  </actuator>
  <sensor>
    <accelerometer name="accelerometer" site="imu"/>
    <gyro name="gyro" site="imu"/>
  </sensor>
</mujoco>"""


def command(steering_angle: float = 0.0, speed: float = 0.0) -> Command:
    """A command to the car.

    Args:
        steering_angle: rad, + to the left; angle of the bicycle model's front wheel
        speed: m/s
    """
    return {'steering_angle': steering_angle, 'speed': speed}


class Car(GroundRobot):
    """Its `base_link` is the middle of the rear axle on the ground."""

    name: ClassVar[str] = 'car'
    commands: ClassVar[tuple[str, ...]] = ('steering_angle', 'speed')

    def spec(self) -> mujoco.MjSpec:
        """Described above."""
        return mujoco.MjSpec.from_string(_MJCF)

    def bind(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        """The car is the last in its world: its joints and actuators are found by name."""
        super().bind(model, data)
        actuators = ('steer_left', 'steer_right', 'motor')
        first, *_, last = (int(model.actuator(f'{PREFIX}{name}').id) for name in actuators)
        self._controls = data.ctrl[first : last + 1]
        self._motor_speed = 0.0
        self._steering_angle, self._wheels = 0.0, ackermann(0.0)

    def place(self, pose: Pose) -> None:
        """Put the car at rest on the ground."""
        self._put(pose, WHEEL_RADIUS)
        self._motor_speed = 0.0
        for _ in range(_SETTLING_STEPS):
            self.advance(command())

    def advance(self, command: Command) -> None:
        """Simulate one physics step under a command; limits of the hardware apply."""
        if command['steering_angle'] != self._steering_angle:
            self._steering_angle = command['steering_angle']
            self._wheels = ackermann(self._steering_angle)
        change = command['speed'] - self._motor_speed
        if change:
            faster = abs(command['speed']) > abs(self._motor_speed)
            ramp = (MAX_ACCELERATION if faster else MAX_DECELERATION) * (PHYSICS_STEP_NS / 1e9)
            self._motor_speed += min(max(change, -ramp), ramp)
        self._controls[:] = (*self._wheels, self._motor_speed / WHEEL_RADIUS)
        mujoco.mj_step(self._model, self._data)

    def motion(self) -> Motion:
        """Return where the car is and how it moves."""
        x, y, yaw, speed, _, yaw_rate = self._planar()
        return Motion(x=x, y=y, yaw=yaw, speed=speed, yaw_rate=yaw_rate)


def ackermann(steering_angle: float) -> tuple[float, float]:
    """Angles of the left and the right front wheel (rad) that turn about one point."""
    limit = MAX_STEERING_ANGLE
    tangent = math.tan(min(max(steering_angle, -limit), limit))
    lever, half_width = WHEELBASE * tangent, TRACK_WIDTH / 2.0 * tangent
    return (
        math.atan2(lever, WHEELBASE - half_width),
        math.atan2(lever, WHEELBASE + half_width),
    )
