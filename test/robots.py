"""A running policy node, driven over DDS by a camera and an IMU that can be broken."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
from geometry_msgs.msg import TwistStamped
from liquid_control.msg import ControlMode, PolicyState
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from ros import Peer, Process
from sensor_msgs.msg import Image, Imu
from std_srvs.srv import SetBool

LATCHED = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class Sensors(threading.Thread):
    """A 30 Hz camera and a 100 Hz IMU on wall time, in a thread of their own."""

    def __init__(self, peer: Peer) -> None:
        super().__init__(daemon=True)
        node = peer.node
        self._clock = node.get_clock()
        self._camera = node.create_publisher(Image, 'image_raw', qos_profile_sensor_data)
        self._imu = node.create_publisher(Imu, 'imu/data', qos_profile_sensor_data)
        picture = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
        self.image = Image(height=120, width=160, encoding='rgb8', step=480)
        self.image.data = picture.tobytes()
        self.imu = Imu()
        self.imu.linear_acceleration.z = 9.81
        self.camera_works = True
        self._stopping = threading.Event()

    def run(self) -> None:
        count = 0
        while not self._stopping.wait(0.01):
            count += 1
            self.imu.header.stamp = self._clock.now().to_msg()
            self._imu.publish(self.imu)
            if count % 3 == 0 and self.camera_works:
                self.image.header.stamp = self._clock.now().to_msg()
                self._camera.publish(self.image)

    def stop(self) -> None:
        self._stopping.set()
        self.join()


class Robot:
    """A running policy node, its sensors and everything it says."""

    def __init__(self, peer: Peer, process: Process) -> None:
        self.peer, self.process = peer, process
        self.commands = peer.listen(TwistStamped, 'cmd_vel', 10)
        self.states = peer.listen(PolicyState, 'policy_node/state', 50)
        self.modes = peer.listen(ControlMode, 'policy_node/mode', LATCHED)
        self.sensors = Sensors(peer)
        self.sensors.start()

    def wait(self, condition: Any, what: str) -> Any:
        return self.peer.wait(condition, what, process=self.process)

    def engage(self, engage: bool = True) -> SetBool.Response:
        return self.peer.call(SetBool, 'policy_node/engage', SetBool.Request(data=engage))

    def engaged(self) -> None:
        self.wait(lambda: self.states and len(self.states[-1].command_raw), 'sensors arrive')
        assert self.engage().success
        self.wait(lambda: self.commands and self.commands[-1].twist.linear.x > 0.2, 'it moves')

    def reaches(self, mode: int) -> ControlMode:
        return self.wait(
            lambda: self.modes[-1] if self.modes and self.modes[-1].mode == mode else None,
            f'mode {mode}',
        )

    def set_policy(self, path: Path | str, *, role: str = 'policy') -> Any:
        value = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=str(path))
        request = SetParameters.Request(parameters=[Parameter(name=role, value=value)])
        return self.peer.call(SetParameters, 'policy_node/set_parameters', request).results[0]
