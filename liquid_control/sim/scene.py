"""The MuJoCo model of one world: the car, the painted ground, the scenery and the light (MJCF)."""

from __future__ import annotations

import math
from collections.abc import Iterator

import mujoco
import numpy as np

from liquid_control.sim import ground
from liquid_control.sim.appearance import Look, Rgb
from liquid_control.sim.track import AREA_HALF_SIZE, ROAD_WIDTH, Track

PHYSICS_STEP_NS = 2_500_000
"""400 Hz: IMU (200 Hz), odometry (50 Hz) and control (20 Hz) all fall on whole steps."""

WHEELBASE = 0.325
TRACK_WIDTH = 0.24
"""Distance between the left and the right wheels, m."""
WHEEL_RADIUS = 0.054
MAX_STEERING_ANGLE = 0.5
"""Largest angle of the bicycle model's front wheel, rad."""

FRONT_CAMERA = 'front'
CHASE_CAMERA = 'chase'

_CAMERA_X = WHEELBASE - 0.02
_MAX_PICTURE = (640, 480)

_CAR = f"""
<body name="car" pos="0 0 {WHEEL_RADIUS}">
  <freejoint name="root"/>
  <inertial pos="{WHEELBASE / 2} 0 .02" mass="2.2" diaginertia=".010 .030 .034"/>
  <geom name="chassis" class="shell" type="box" pos="{WHEELBASE / 2} 0 .012" size=".21 .075 .016"
        rgba=".16 .17 .20 1"/>
  <geom class="shell" type="box" pos="{WHEELBASE / 2} 0 .042" size=".20 .070 .016"
        rgba=".82 .16 .12 1"/>
  <geom class="shell" type="box" pos="{WHEELBASE / 2 - 0.05} 0 .075" size=".09 .058 .020"
        rgba=".13 .15 .19 1"/>
  <geom class="shell" type="box" pos="-.055 0 .085" size=".018 .085 .006" rgba=".82 .16 .12 1"/>
  <geom class="shell" type="cylinder" pos="{WHEELBASE - 0.055} 0 .088" size=".008 .035"
        rgba=".75 .75 .78 1"/>
  <site name="imu" pos="{WHEELBASE / 2} 0 .03"/>
  {{cameras}}
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
"""


def build_model(track: Track, look: Look, seed: int) -> mujoco.MjModel:
    """Compile the world, its ground still unpainted. Scenery is drawn from the seed."""
    return mujoco.MjModel.from_xml_string(_describe(track, look, seed))


def paint(model: mujoco.MjModel, track: Track, look: Look, seed: int) -> None:
    """Paint the ground of a model, for cameras to see; must come before the renderer is made."""
    start = model.tex_adr[model.texture('ground').id]
    pixels = ground.paint_ground(track, look, seed).ravel()
    model.tex_data[start : start + pixels.size] = pixels


def _describe(track: Track, look: Look, seed: int) -> str:
    half_x, half_y = AREA_HALF_SIZE
    season = look.season
    sun = [
        -math.cos(look.sun_elevation) * math.cos(look.sun_azimuth),
        -math.cos(look.sun_elevation) * math.sin(look.sun_azimuth),
        -math.sin(look.sun_elevation),
    ]
    corners = np.linspace(0.0, 2.0 * np.pi, 9)[:-1]
    cone = ' '.join(f'{0.05 * math.cos(c):.4f} {0.05 * math.sin(c):.4f} 0' for c in corners)
    # Tyres: condim 3, because the fourth (torsional) direction makes the accelerometer all noise.
    return f"""
<mujoco model="liquid_control car">
  <compiler angle="radian" autolimits="true"/>
  <option timestep="{PHYSICS_STEP_NS / 1e9}" integrator="implicitfast" cone="elliptic"
          impratio="10"/>
  <visual>
    <global offwidth="{_MAX_PICTURE[0]}" offheight="{_MAX_PICTURE[1]}"/>
    <quality numslices="12" numstacks="8" offsamples="0"/>
    <map znear=".005" zfar="20" fogstart="8" fogend="22" force=".1"/>
    <headlight ambient="{_rgb((look.ambient,) * 3)}" diffuse=".15 .15 .15" specular="0 0 0"/>
    <rgba fog="{_rgb(season.horizon)} 1" haze="{_rgb(season.horizon)} 1"/>
  </visual>
  <asset>
    <texture name="sky" type="skybox" builtin="gradient" width="64" height="384"
             rgb1="{_rgb(season.zenith)}" rgb2="{_rgb(season.horizon)}"/>
    <texture name="ground" type="2d" builtin="flat" width="{ground.WIDTH}"
             height="{ground.HEIGHT}"/>
    <material name="ground" texture="ground" texuniform="false" texrepeat="1 1" specular="0"/>
    <material name="around" rgba="{_rgb(season.grass)} 1" specular="0"/>
    <mesh name="cone" vertex="{cone} 0 0 .16"/>
  </asset>
  <default>
    <default class="scenery"><geom contype="0" conaffinity="0" group="1"/></default>
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
    <light name="sun" directional="true" pos="0 0 6" dir="{_rgb(sun)}"
           diffuse="{_rgb(look.sun_rgb)}" specular="0 0 0" castshadow="false"/>
    <geom name="floor" type="plane" size="{half_x} {half_y} 1" material="ground"/>
    <geom class="scenery" type="plane" size="30 30 10" pos="0 0 -.01" material="around"/>
    {''.join(_scenery(track, look, seed))}
    {_CAR.format(cameras=_cameras(look))}
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


def _cameras(look: Look) -> str:
    sine, cosine = math.sin(look.camera_pitch), math.cos(look.camera_pitch)
    height = look.camera_height - WHEEL_RADIUS
    return f"""
  <camera name="{FRONT_CAMERA}" pos="{_CAMERA_X} 0 {height:.4f}" fovy="{look.camera_fov:.3f}"
          xyaxes="0 -1 0 {sine:.5f} 0 {cosine:.5f}"/>
  <camera name="{CHASE_CAMERA}" pos="-.85 0 .5" fovy="60" xyaxes="0 -1 0 .42 0 .907"/>"""


def _scenery(track: Track, look: Look, seed: int) -> Iterator[str]:
    """Trees and boxes off the road, cones along its left edge; none of it can be touched."""
    rng = np.random.default_rng([seed, 4])
    reach = np.array(AREA_HALF_SIZE) + 3.0
    for _ in range(rng.integers(20, 40)):
        x, y = rng.uniform(-reach, reach).tolist()
        size = rng.uniform(0.5, 1.3)
        is_tree = rng.random() < 0.7
        turn, paint = rng.uniform(0.0, math.pi), rng.uniform(0.2, 0.9, 3).tolist()
        if np.hypot(*(track.points - (x, y)).T).min() < ROAD_WIDTH / 2 + 0.4:
            continue
        if is_tree:
            yield _geom(
                'cylinder', x, y, 0.2 * size, (0.04 * size, 0.2 * size), (0.35, 0.23, 0.13)
            )
            crown = (0.24 * size, 0.24 * size, 0.38 * size)
            yield _geom('ellipsoid', x, y, 0.65 * size, crown, look.season.leaf)
        else:
            box = (0.3 * size, 0.2 * size, 0.25 * size)
            yield _geom('box', x, y, box[2], box, paint, f'euler="0 0 {turn:.2f}"')
    spacing = rng.integers(40, 120)
    for index in range(0, len(track.points), spacing):
        x, y = track.points[index] + track.normals[index] * (ROAD_WIDTH / 2 + 0.18)
        yield _geom('mesh', x, y, 0.0, (), (1.0, 0.4, 0.05), 'mesh="cone"')


def _geom(
    kind: str,
    x: float,
    y: float,
    z: float,
    size: tuple[float, ...],
    colour: Rgb | list[float],
    more: str = '',
) -> str:
    extent = f'size="{" ".join(f"{value:.3f}" for value in size)}"' if size else ''
    return (
        f'<geom class="scenery" type="{kind}" pos="{x:.3f} {y:.3f} {z:.3f}" {extent} '
        f'rgba="{_rgb(colour)} 1" {more}/>\n'
    )


def _rgb(values: Rgb | list[float]) -> str:
    return ' '.join(f'{value:.4f}' for value in values)
