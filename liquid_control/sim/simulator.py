"""The simulated car on its track as a plain class: a command in, timed observations out.

Time is simulated time in integer nanoseconds from 0 at the start; nothing here knows of ROS or of
the wall clock. Same seed, same options, same commands: the same observations, bit by bit (on one
machine, with one version of MuJoCo and of the OpenGL driver).
"""

from __future__ import annotations

from types import TracebackType

import numpy as np

from liquid_control.sim.appearance import Look, draw_look
from liquid_control.sim.camera import Camera
from liquid_control.sim.car import Car, Command, Motion
from liquid_control.sim.judge import Judge, Status
from liquid_control.sim.scene import PHYSICS_STEP_NS, build_model, paint
from liquid_control.sim.sensors import (
    CameraFrame,
    ImageSensor,
    ImuNoise,
    ImuSample,
    Observation,
    OdometrySample,
    Schedule,
)
from liquid_control.sim.track import generate_track

HELD_OUT_SEEDS = (101, 102, 103)
"""Worlds for judging policies; no training ever sees them."""

SELECTION_SEEDS = tuple(range(201, 211))
"""Worlds for choosing among policies; no training sees these either."""

CAMERA_RATE = 30.0
IMU_RATE = 200.0
ODOMETRY_RATE = 50.0
_JUDGE_RATE = 100.0


class Simulator:
    """One car, one track, one seed.

    Args:
        seed: draws the track, its scenery, the sensors' errors and, with `randomise`, the look.
        image_width, image_height: camera picture, pixels.
        randomise: False gives every seed the same clear summer noon and nominal camera.
        camera: False leaves the camera out, for work that needs no pictures and no OpenGL.
        camera_rate, imu_rate, odometry_rate: Hz, each at most the physics rate of 400 Hz.

    Use it in one thread (the camera's OpenGL context demands it) and `close` it, or use `with`.
    """

    def __init__(
        self,
        seed: int,
        *,
        image_width: int = 160,
        image_height: int = 120,
        randomise: bool = True,
        camera: bool = True,
        camera_rate: float = CAMERA_RATE,
        imu_rate: float = IMU_RATE,
        odometry_rate: float = ODOMETRY_RATE,
    ) -> None:
        self.seed = seed
        self.track = generate_track(seed)
        self.look = draw_look(seed) if randomise else Look()
        self._car = Car(build_model(self.track, self.look, seed))
        self._camera: Camera | None = None
        if camera:
            paint(self._car.model, self.track, self.look, seed)
            self._camera = Camera(self._car.model, image_width, image_height)
        self._camera_due = Schedule(camera_rate)
        self._imu_due = Schedule(imu_rate)
        self._odometry_due = Schedule(odometry_rate)
        self._judge_due = Schedule(_JUDGE_RATE)
        self._imu_rate = imu_rate
        self._image_size = (image_width, image_height)
        self.reset()

    def reset(
        self, *, station: float = 0.0, offset: float = 0.0, heading_error: float = 0.0
    ) -> None:
        """Start again at time 0, with the car at rest.

        Args:
            station: where along the centre line, m.
            offset: m to the left of it.
            heading_error: rad, + turned to the left of the track's direction.
        """
        x, y, yaw = self.track.pose_at(station, offset)
        self._car.place(x, y, yaw + heading_error)
        self.time_ns = 0
        for schedule in (self._camera_due, self._imu_due, self._odometry_due, self._judge_due):
            schedule.restart()
        self._image_sensor = ImageSensor(
            *self._image_size, self.look, np.random.default_rng([self.seed, 5])
        )
        self._imu_noise = ImuNoise(self._imu_rate, np.random.default_rng([self.seed, 6]))
        self._judge = Judge(self.track, self.motion)

    @property
    def motion(self) -> Motion:
        """Where the car is now and how it moves."""
        return self._car.motion()

    @property
    def status(self) -> Status:
        """How the drive goes, at most 10 ms old."""
        return self._judge.status

    def step(self, command: Command, duration_ns: int) -> list[Observation]:
        """Drive for `duration_ns` under one command; return what the sensors saw, in time order.

        Time moves in whole physics steps (2.5 ms) and never past the end of the duration. For a
        control period that is no multiple of it, ask for `next_tick_ns - simulator.time_ns`.
        """
        end_ns = self.time_ns + duration_ns
        observations: list[Observation] = []
        while self.time_ns + PHYSICS_STEP_NS <= end_ns:
            self._car.advance(command)
            self.time_ns += PHYSICS_STEP_NS
            self._sense(observations)
        return observations

    def _sense(self, observations: list[Observation]) -> None:
        now = self.time_ns
        if self._imu_due.is_due(now):
            values = self._imu_noise.measure(self._car.inertial())
            observations.append(ImuSample(now, values))
        if self._odometry_due.is_due(now):
            observations.append(OdometrySample(now, self.motion))
        if self._camera is not None and self._camera_due.is_due(now):
            rgb = self._image_sensor.expose(self._camera.render(self._car.data))
            observations.append(CameraFrame(now, rgb))
        if self._judge_due.is_due(now):
            self._judge.look(now, self.motion)

    def close(self) -> None:
        """Free the renderer."""
        if self._camera is not None:
            self._camera.close()
            self._camera = None

    def __enter__(self) -> Simulator:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
