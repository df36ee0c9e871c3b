"""The quadrotor as MJCF: a rigid body, four rotors with their lag, a camera and an IMU.

An X frame with 25 cm from one rotor to the next and 1 kg, the size of a small research drone. What
it touches with is one sphere about the frame; everything else is for the eye.
"""

from __future__ import annotations

import math

from liquid_control.sim.quadrotor.appearance import Lens

MASS = 1.0
"""kg."""
INERTIA = (0.0060, 0.0065, 0.0110)
"""About x, y and z, kg m^2."""
ARM = 0.125
"""Of a rotor's axis from the middle, along x and along y, m."""
MAX_THRUST = 5.5
"""Of one rotor, N: all four lift 2.2 times the weight."""
ROTOR_LAG = 0.035
"""Time constant of a rotor's thrust, s."""
TORQUE_PER_THRUST = 0.016
"""Drag torque of a rotor about its axis, m."""
RADIUS = 0.22
"""Of the sphere that it touches with, m."""

CAMERA_X = 0.22
"""How far the lens sits in front of the middle, m: no propeller turns in its picture."""

BODY = 'quadrotor'
FRONT_CAMERA = 'front'
CHASE_CAMERA = 'chase'

# Each rotor: x and y as shares of ARM, and the way its drag turns the body (+ to the left).
ROTORS = ((1, -1, 1), (-1, 1, 1), (1, 1, -1), (-1, -1, -1))


def body(lens: Lens) -> str:
    """MJCF of the body at the origin, heading along x."""
    sine, cosine = math.sin(lens.pitch), math.cos(lens.pitch)
    return f"""
<body name="{BODY}">
  <freejoint name="root"/>
  <inertial pos="0 0 0" mass="{MASS}" diaginertia="{' '.join(map(str, INERTIA))}"/>
  <geom name="hull" type="sphere" size="{RADIUS}" mass="0" condim="3" group="3"/>
  <geom class="seen" type="box" size=".09 .05 .025" rgba=".14 .15 .17 1"/>
  <geom class="seen" type="box" size=".05 .035 .015" pos="0 0 .035" rgba=".90 .55 .10 1"/>
  {''.join(_rotor(*rotor) for rotor in ROTORS)}
  <site name="imu"/>
  <camera name="{FRONT_CAMERA}" pos="{CAMERA_X} 0 .02" fovy="{lens.fov:.3f}"
          xyaxes="0 -1 0 {sine:.5f} 0 {cosine:.5f}"/>
  <camera name="{CHASE_CAMERA}" pos="-2.2 0 .9" fovy="60" xyaxes="0 -1 0 .28 0 .96"/>
</body>"""


def actuators() -> str:
    """MJCF of the rotors: the control is the thrust asked for, N; what comes lags behind."""
    return '\n'.join(
        f'<general site="rotor_{index}" gear="0 0 1 0 0 {turn * TORQUE_PER_THRUST}" '
        f'ctrlrange="0 {MAX_THRUST}" dyntype="filterexact" dynprm="{ROTOR_LAG}" '
        f'gaintype="fixed" gainprm="1"/>'
        for index, (_, _, turn) in enumerate(ROTORS)
    )


def _rotor(x: int, y: int, turn: int) -> str:
    index = ROTORS.index((x, y, turn))
    place = f'{x * ARM} {y * ARM} .02'
    return f"""
  <site name="rotor_{index}" pos="{place}"/>
  <geom class="seen" type="capsule" fromto="0 0 0 {place}" size=".011" rgba=".20 .21 .24 1"/>
  <geom class="seen" type="cylinder" pos="{x * ARM} {y * ARM} .035" size=".085 .003"
        rgba=".75 .77 .80 .55"/>"""
