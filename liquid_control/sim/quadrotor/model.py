"""The MuJoCo model of one flight: the quadrotor in its world (MJCF)."""

from __future__ import annotations

import math

import mujoco

from liquid_control.sim.quadrotor import body
from liquid_control.sim.quadrotor.appearance import Lens
from liquid_control.sim.quadrotor.world import World, colour

PHYSICS_STEP_NS = 2_500_000
"""400 Hz: IMU (200 Hz), odometry (50 Hz) and control (20 Hz) all fall on whole steps."""

_MAX_PICTURE = (640, 480)


def build_model(world: World, lens: Lens | None = None) -> mujoco.MjModel:
    """Compile a world with its quadrotor, the ground painted."""
    model = mujoco.MjModel.from_xml_string(_describe(world, lens or Lens()))
    start = model.tex_adr[model.texture('ground').id]
    model.tex_data[start : start + world.texture.size] = world.texture.ravel()
    return model


def _describe(world: World, lens: Lens) -> str:
    light, scene = world.light, world.scene
    sun = (
        -math.cos(light.sun_elevation) * math.cos(light.sun_azimuth),
        -math.cos(light.sun_elevation) * math.sin(light.sun_azimuth),
        -math.sin(light.sun_elevation),
    )
    side = world.texture.shape[0]
    return f"""
<mujoco model="liquid_control quadrotor">
  <compiler angle="radian" autolimits="true"/>
  <option timestep="{PHYSICS_STEP_NS / 1e9}" integrator="implicitfast"/>
  <statistic extent="1" center="0 0 1"/>
  <visual>
    <global offwidth="{_MAX_PICTURE[0]}" offheight="{_MAX_PICTURE[1]}"/>
    <quality numslices="12" numstacks="8" offsamples="0"/>
    <map znear=".03" zfar="70" fogstart="18" fogend="60" force=".1"/>
    <headlight ambient="{colour((light.ambient,) * 3)}" diffuse=".15 .15 .15" specular="0 0 0"/>
    <rgba fog="{colour(scene.horizon)} 1" haze="{colour(scene.horizon)} 1"/>
  </visual>
  <asset>
    <texture name="sky" type="skybox" builtin="gradient" width="32" height="192"
             rgb1="{colour(scene.zenith)}" rgb2="{colour(scene.horizon)}"/>
    <texture name="ground" type="2d" builtin="flat" width="{side}" height="{side}"/>
    <material name="ground" texture="ground" texuniform="true" texrepeat=".12 .12" specular="0"/>
  </asset>
  <default>
    <geom condim="1" friction=".8"/>
    <default class="scenery"><geom group="1"/></default>
    <default class="seen"><geom contype="0" conaffinity="0" mass="0" group="2"/></default>
  </default>
  <worldbody>
    <light name="sun" directional="true" pos="0 0 20" dir="{colour(sun)}"
           diffuse="{colour(light.sun)}" specular="0 0 0" castshadow="false"/>
    <geom name="ground" type="plane" size="80 80 20" material="ground"/>
    {world.scenery}
    {body.body(lens)}
  </worldbody>
  <actuator>{body.actuators()}</actuator>
  <sensor><accelerometer site="imu"/><gyro site="imu"/></sensor>
</mujoco>"""
