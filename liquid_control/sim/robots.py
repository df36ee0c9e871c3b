# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The robots that can be simulated by name, each in its own kind of world.

`simulate('car', seed)` is all that most callers need. Another robot is one more entry here: see
docs/robots.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from liquid_control.common.errors import ConfigError
from liquid_control.sim import quadrotor
from liquid_control.sim.camera import Camera, Mount
from liquid_control.sim.car import CAMERA_X, WHEEL_RADIUS, Car
from liquid_control.sim.judge import LapStatus
from liquid_control.sim.lidar import Goal, Lidar
from liquid_control.sim.outdoors_world import HoldStatus, OutdoorsWorld
from liquid_control.sim.protocols import Sensor
from liquid_control.sim.road.actuators import WornCar
from liquid_control.sim.road.hills import Hills
from liquid_control.sim.road.lens import Lens
from liquid_control.sim.road.optics import effects
from liquid_control.sim.rooms import Rooms
from liquid_control.sim.rooms_world import ReachStatus, RoomsWorld
from liquid_control.sim.rover import Rover
from liquid_control.sim.sensors import Imu, Odometry
from liquid_control.sim.simulator import Simulator
from liquid_control.sim.track import Track
from liquid_control.sim.track_world import TrackWorld

CAMERA_RATE = 30.0
IMU_RATE = 200.0
ODOMETRY_RATE = 50.0
SCAN_RATE = 10.0
ROVER_ODOMETRY_RATE = 20.0
GOAL_RATE = 1.0

CarSimulator = Simulator[TrackWorld, LapStatus]


def simulate_car(
    seed: int,
    *,
    difficulty: Mapping[str, float] | None = None,
    camera: bool = True,
    image_width: int = 160,
    image_height: int = 120,
    camera_rate: float = CAMERA_RATE,
    imu_rate: float = IMU_RATE,
    odometry_rate: float = ODOMETRY_RATE,
    redrawn: Mapping[str, int] | None = None,
    track: Track | None = None,
) -> CarSimulator:
    """The car on a track.

    Args:
        seed: draws the track, its scenery and light, the sensors' errors.
        difficulty: strength, 0 to 1, of each of `TrackWorld.difficulties`; where left out 1 of
            its look, 0 of what makes a road hard.
        camera: False leaves the camera out, for work that needs no images and no OpenGL.
        image_width, image_height: camera image, pixels.
        camera_rate, imu_rate, odometry_rate: Hz, each at most the physics rate of 400 Hz.
        redrawn, track: see `TrackWorld`.

    Raises:
        ConfigError: there is no such difficulty, or its strength is none.
        RenderingError: this machine cannot render.
    """
    world = TrackWorld(seed, difficulty, redrawn=redrawn, track=track)
    strength = world.strength
    sensors: list[Sensor] = [Imu('imu', imu_rate), Odometry('odom', odometry_rate)]
    if camera:
        appearance = world.appearance
        lens = Lens(
            image_width,
            image_height,
            above=appearance.camera_height,
            before=CAMERA_X,
            pitch=appearance.camera_pitch,
            fov=appearance.camera_fov,
        )
        hills = strength.get('hills', 0.0)
        mount = Mount(
            position=(CAMERA_X, 0.0, round(appearance.camera_height - WHEEL_RADIUS, 4)),
            pitch=appearance.camera_pitch,
            fov=round(appearance.camera_fov, 3),
        )
        sensors.append(
            Camera(
                'image',
                camera_rate,
                image_width,
                image_height,
                mount,
                gain=appearance.white_balance,
                deviation=appearance.pixel_noise,
                effects=effects(lens, strength, seed, appearance.sun_azimuth),
                tilt=Hills(world.track, hills, seed).tilt if hills else None,
            )
        )
    worn = any(strength.get(name) for name in ('delay', 'slack', 'fast'))
    return Simulator(world, WornCar(strength) if worn else Car(), sensors)


QuadrotorSimulator = Simulator[OutdoorsWorld, HoldStatus]

FLIGHT_CAMERA_RATE = 20.0


def simulate_quadrotor(
    seed: int,
    *,
    difficulty: Mapping[str, float] | None = None,
    camera: bool = True,
    scene: str | None = None,
    image_width: int = 64,
    image_height: int = 48,
    camera_rate: float = FLIGHT_CAMERA_RATE,
    imu_rate: float = IMU_RATE,
    odometry_rate: float = ODOMETRY_RATE,
    redrawn: Mapping[str, int] | None = None,
) -> QuadrotorSimulator:
    """The quadrotor outdoors.

    Args:
        seed: draws the place, the target, light and wind, the sensors' errors.
        difficulty: strength, 0 to 1, of each of `OutdoorsWorld.difficulties`; that of the scene
            of training where left out.
        camera: False leaves the camera out, for work that needs no images and no OpenGL.
        scene: of `liquid_control.sim.seasons.SCENES`, whatever the strength of 'season'.
        image_width, image_height: camera image, pixels.
        camera_rate, imu_rate, odometry_rate: Hz, each at most the physics rate of 400 Hz.
        redrawn: see `OutdoorsWorld`.

    Raises:
        ConfigError: there is no such difficulty, or its strength is none.
        RenderingError: this machine cannot render.
    """
    world = OutdoorsWorld(seed, difficulty, scene, redrawn)
    sensors: list[Sensor] = [Imu('imu', imu_rate), Odometry('odom', odometry_rate)]
    if camera:
        light = world.place.light
        sensors.append(
            Camera(
                'image',
                camera_rate,
                image_width,
                image_height,
                Mount(position=(quadrotor.CAMERA_X, 0.0, 0.02)),
                gain=light.gain,
                deviation=light.deviation,
            )
        )
    return Simulator(world, quadrotor.Quadrotor(), sensors)


RoverSimulator = Simulator[RoomsWorld, ReachStatus]


def simulate_rover(
    seed: int,
    *,
    difficulty: Mapping[str, float] | None = None,
    camera: bool = False,
    scan_rate: float = SCAN_RATE,
    odometry_rate: float = ROVER_ODOMETRY_RATE,
    rooms: Rooms | None = None,
) -> RoverSimulator:
    """The rover in its rooms.

    Args:
        seed: draws rooms, furniture, people, the task and the sensors' errors.
        difficulty: strength, 0 to 1, of each of `RoomsWorld.difficulties`; 1 where left out.
        camera: it has none.
        scan_rate, odometry_rate: Hz, each at most the physics rate of 100 Hz.
        rooms: instead of the seed's.

    Raises:
        ConfigError: there is no such difficulty, or its strength is none.
    """
    world = RoomsWorld(seed, difficulty, rooms=rooms)
    strength = world.lidar_strength
    sensors: list[Sensor] = [
        Odometry('odom', odometry_rate),
        Goal('goal', GOAL_RATE, world.goal),
        Lidar('scan', scan_rate, noise=0.02 * strength, lost=0.01 * strength),
    ]
    return Simulator(world, Rover(), sensors)


ROBOTS: dict[str, Callable[..., Simulator[Any, Any]]] = {
    'car': simulate_car,
    'quadrotor': simulate_quadrotor,
    'rover': simulate_rover,
}
"""By name: a function of a seed and of what can be chosen, at least `difficulty` and `camera`."""


def simulate(robot: str, seed: int, **options: Any) -> Simulator[Any, Any]:
    """The simulation of a robot by name.

    Args:
        options: see the robot's function in `ROBOTS`.

    Raises:
        ConfigError: there is no such robot, or its options are wrong.
        RenderingError: this machine cannot render.
    """
    if robot not in ROBOTS:
        raise ConfigError(f'the robot must be one of {", ".join(ROBOTS)}, found {robot!r}')
    return ROBOTS[robot](seed, **options)
