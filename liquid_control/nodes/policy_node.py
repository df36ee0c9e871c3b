"""The policy node: sensors in, a liquid policy at a fixed rate, commands out.

A camera frame's way: `PolicyNode._subscribe` -> `Vision` (decode, encode) -> `Sensors` ->
`Controller.tick` (core network, safety envelope) -> `CommandPort.publish`.

Threads: the executor serves parameters, services and overrides; a second executor does nothing but
feed sensors; the vision thread encodes frames; the control thread ticks. One lock guards the
controller and is held for no longer than a tick.
"""

from __future__ import annotations

import array
import math
import signal
import threading
import time
import traceback
from typing import Any

from builtin_interfaces.msg import Time
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from std_srvs.srv import SetBool

from liquid_control.msg import ControlMode, PolicyState
from liquid_control.nodes.commands import CommandPort
from liquid_control.nodes.diagnostics import Diagnostics
from liquid_control.nodes.lifecycle import ManagedNode, run
from liquid_control.nodes.parameters import read_parameters
from liquid_control.nodes.policy_parameters import PolicyParameters
from liquid_control.nodes.sensing import SensorNode
from liquid_control.nodes.share import models_directories, robot_file
from liquid_control.runtime import realtime
from liquid_control.runtime.bundle import find_bundle, load_bundle
from liquid_control.runtime.controller import Controller, Mode, Tick
from liquid_control.runtime.errors import LiquidControlError
from liquid_control.runtime.image import Pixels
from liquid_control.runtime.observation import Sensors
from liquid_control.runtime.policy import Policy
from liquid_control.runtime.rate import Cycle, FixedRate, SimClock, SteadyClock
from liquid_control.runtime.robot import Robot
from liquid_control.runtime.timing import Timing
from liquid_control.runtime.vision import Vision

_LATCHED = QoSProfile(
    depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
)
# How long a deactivated robot may take to brake before the node goes on without waiting, s.
_BRAKING_TIMEOUT = 3.0


class PolicyNode(ManagedNode):
    """See the module docstring; parameters in policy_parameters.py."""

    def __init__(self) -> None:
        super().__init__('policy_node')
        self._lock = threading.Lock()
        self._sensing: SensorNode | None = None
        self._vision: Vision | None = None
        self._loop: threading.Thread | None = None
        self._cancelled = threading.Event()
        self._jump_handle: Any = None
        self._frame: tuple[Pixels, int, int] | None = None
        read_parameters(self, PolicyParameters)
        self.add_on_set_parameters_callback(self._on_parameters)

    # Lifecycle

    def setup(self) -> None:
        """Load the policy and make every publisher and service."""
        self.parameters = parameters = read_parameters(self, PolicyParameters)
        policy = self._load(parameters.policy)
        robot = Robot.load(robot_file(parameters.robot))
        self._controller = Controller(
            policy,
            robot,
            on_mode=self._publish_mode,
            override_timeout=parameters.override_timeout,
        )
        self._tighten(self._controller.sensors)
        rate = parameters.control_rate or policy.contract.control_rate
        self._timing = Timing(rate)
        self._period_ns = round(1e9 / rate)
        self._sim_clock = SimClock() if self._uses_sim_time() else None
        self._modes = self.create_publisher(ControlMode, '~/mode', _LATCHED)
        self._states = self.create_publisher(PolicyState, '~/state', 10)
        self._commands = CommandPort(
            self,
            command_type=parameters.command_type,
            names=policy.contract.command_names,
            wheelbase=robot.wheelbase,
            frame_id=parameters.frame_id,
            on_override=self._on_override,
        )
        self._engage = self.create_service(SetBool, '~/engage', self._on_engage)
        self._diagnostics = Diagnostics(
            self, parameters, self._timing, self._controller, self._commands
        )
        self.get_logger().info(
            f'policy {policy.contract.name} on {policy.engine.provider}, {rate:g} Hz, '
            f'robot {robot.name}'
        )

    def start(self) -> None:
        """Begin to sense and to tick; nothing moves before it is engaged."""
        self._cancelled.clear()
        policy = self._controller.policy
        policy.reset()
        if policy.preprocess is not None:
            self._vision = Vision(
                self._on_frame,
                compressed=self.parameters.image_transport == 'compressed',
                on_error=self._on_sensor_error,
            )
            self._vision.start()
        if self._sim_clock is not None:
            self._follow_sim_time(self._sim_clock)
        self._sensing = SensorNode(self, self._controller.sensors, self._vision, self._now_ns)
        self._sensing.start()
        realtime.freeze_garbage()
        if self.parameters.lock_memory:
            self._warn(realtime.lock_memory())
        self._loop = threading.Thread(target=self._run, name='control', daemon=True)
        self._loop.start()
        self._publish_mode(self._controller.mode, self._controller.reason)

    def stop(self) -> None:
        """Brake, send a last stop, end every thread."""
        if self._loop is not None:
            with self._lock:
                self._controller.disengage('deactivated')
            self._wait_until_at_rest()
            self._cancelled.set()
            self._loop.join()
            self._loop = None
            last = self._controller.halt()
            if last is not None:
                self._commands.publish(last, self._stamp(self._now_ns()))
        if self._sensing is not None:
            self._sensing.stop()
            self._sensing = None
        if self._vision is not None:
            self._vision.stop()
            self._vision = None
        if self._jump_handle is not None:
            self._jump_handle.unregister()
            self._jump_handle = None
        realtime.thaw_garbage()

    def release(self) -> None:
        """Give back what `setup` made, as far as it got."""
        for name, destroy in (
            ('_modes', self.destroy_publisher),
            ('_states', self.destroy_publisher),
            ('_engage', self.destroy_service),
        ):
            if hasattr(self, name):
                destroy(getattr(self, name))
                delattr(self, name)
        for name in ('_commands', '_diagnostics'):
            if hasattr(self, name):
                getattr(self, name).close()
                delattr(self, name)

    # The control thread

    def _run(self) -> None:
        """The control thread: a defect in it ends the node, and the robot is told to stop."""
        try:
            self._tick_until_cancelled()
        except Exception:
            last = self._controller.halt()
            if last is not None:
                self._commands.publish(last, self._stamp(self._now_ns()))
            self.get_logger().fatal(f'defect in the control loop:\n{traceback.format_exc()}')
            signal.raise_signal(signal.SIGTERM)

    def _tick_until_cancelled(self) -> None:
        if self.parameters.priority:
            self._warn(realtime.set_priority(self.parameters.priority))
        if self.parameters.cpu_affinity:
            self._warn(realtime.set_affinity(self.parameters.cpu_affinity))
        clock = self._sim_clock or SteadyClock()
        rate = FixedRate(self._period_ns, clock)
        while (cycle := rate.wait(self._cancelled)) is not None:
            now_ns = cycle.now_ns if self._sim_clock is not None else time.time_ns()
            with self._lock:
                tick = self._controller.tick(now_ns, stalled=cycle.stalled)
            if tick.command is not None:
                self._commands.publish(tick.command, self._stamp(now_ns))
            self._report(tick, cycle)

    def _report(self, tick: Tick, cycle: Cycle) -> None:
        """Publish what this tick saw and did; the command is already on its way."""
        timing, seen = self._timing, tick.observation
        if not cycle.stalled:
            timing.tick(time.monotonic_ns(), cycle.lateness_ns / 1e9, cycle.skipped)
        if tick.raw is not None:
            timing.core.append(tick.core_ns / 1e9)
        encoder_time = self._vision.duration_ns / 1e9 if self._vision is not None else 0.0
        timing.encoder.append(encoder_time)
        sense_to_act = (
            (self._now_ns() - seen.image_stamp_ns) / 1e9 if seen.features is not None else math.nan
        )
        if math.isfinite(sense_to_act):
            timing.sense_to_act.append(sense_to_act)
        message = PolicyState()
        message.header.stamp = self._stamp(tick.now_ns)
        message.tick = timing.ticks + timing.missed
        message.missed = timing.missed
        message.mode = int(tick.mode)
        message.policy = self._controller.policy.contract.name
        message.image_stamp = self._stamp(seen.image_stamp_ns)
        if seen.imu is not None:
            message.imu = seen.imu
        message.speed = float(seen.speed) if seen.speed is not None else math.nan
        message.elapsed = tick.elapsed
        message.image_age = seen.image_age
        message.imu_age = seen.imu_age
        message.speed_age = seen.speed_age
        message.command_names = list(self._controller.policy.contract.command_names)
        if tick.raw is not None:
            message.command_raw = array.array('f', tick.raw.tobytes())
        if tick.command is not None:
            message.command = array.array('f', tick.command)
        message.limited_by = tick.limited_by
        message.neurons = array.array('f', self._controller.policy.state.tobytes())
        message.lateness = cycle.lateness_ns / 1e9
        message.encoder_time = encoder_time
        message.core_time = tick.core_ns / 1e9
        message.sense_to_act = sense_to_act
        self._states.publish(message)

    # The vision thread

    def _on_frame(self, rgb: Pixels, stamp_ns: int, received_ns: int) -> None:
        """Encode with the policy in charge."""
        policy, sensors = self._controller.policy, self._controller.sensors
        sensors.put_features(stamp_ns, policy.encode(rgb), received_ns)
        self._frame = (rgb, stamp_ns, received_ns)

    def _on_sensor_error(self, error: LiquidControlError) -> None:
        self.get_logger().warning(str(error), throttle_duration_sec=2.0)

    # The executor thread

    def _on_engage(self, request: SetBool.Request, response: SetBool.Response) -> Any:
        with self._lock:
            if not request.data:
                self._controller.disengage()
                problem = ''
            elif self._loop is None:
                problem = 'the node is not active'
            else:
                problem = self._controller.engage(self._now_ns())
        response.success = not problem
        response.message = problem or ('engaged' if request.data else 'disengaged')
        return response

    def _on_override(self, values: tuple[float, ...]) -> None:
        if self._loop is None:
            return
        try:
            with self._lock:
                self._controller.override(values, self._now_ns())
        except ValueError as error:
            self.get_logger().warning(str(error), throttle_duration_sec=2.0)

    def _on_parameters(self, changed: list[Parameter]) -> SetParametersResult:
        """Swap the policy; everything else is read when the node is configured."""
        for parameter in changed:
            if parameter.name == 'policy' and self.state in ('inactive', 'active'):
                try:
                    self._swap(parameter.value)
                except LiquidControlError as error:
                    return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _swap(self, name: str) -> None:
        """Load, check and warm another policy beside the running one, then exchange them.

        Raises:
            LiquidControlError: it must not drive; the running policy never notices.
        """
        policy = self._load(name)
        sensors = Sensors(policy.contract, shared=self._controller.sensors)
        self._tighten(sensors)
        frame = self._frame
        if frame is not None and policy.preprocess is not None:
            rgb, stamp_ns, received_ns = frame
            sensors.put_features(stamp_ns, policy.encode(rgb), received_ns)
        with self._lock:
            self._controller.use(policy, sensors)
        if self._sensing is not None:
            self._sensing.feed(sensors)
        self._publish_mode(self._controller.mode, self._controller.reason)
        self.get_logger().info(f'policy {policy.contract.name} took over')

    # Small things

    def _load(self, name: str) -> Policy:
        policy = Policy(
            load_bundle(find_bundle(name, *models_directories())),
            providers=self.parameters.providers,
            provider_required=self.parameters.provider_required,
        )
        self._warn(policy.engine.warning)
        return policy

    def _tighten(self, sensors: Sensors) -> None:
        """The YAML may shorten the contract's age limits, never lengthen them."""
        parameters = self.parameters
        for slot, limit in (
            (sensors.image, parameters.max_image_age),
            (sensors.imu, parameters.max_imu_age),
            (sensors.speed, parameters.max_speed_age),
        ):
            if slot is not None and limit:
                slot.max_age = min(slot.max_age, limit)

    def _publish_mode(self, mode: Mode, reason: str) -> None:
        message = ControlMode(mode=int(mode), reason=reason)
        message.header.stamp = self._stamp(self._now_ns())
        message.policy = self._controller.policy.contract.name
        message.policy_hash = self._controller.policy.bundle.digest
        self._modes.publish(message)
        # Two calls: a place in the code may log at one severity only.
        if mode is Mode.SAFE_STOP:
            self.get_logger().warning(f'{mode.name}: {reason}')
        else:
            self.get_logger().info(f'{mode.name}: {reason}')

    def _wait_until_at_rest(self) -> None:
        deadline = time.monotonic() + _BRAKING_TIMEOUT
        while self._controller.mode is not Mode.DISENGAGED and time.monotonic() < deadline:
            time.sleep(0.01)

    def _uses_sim_time(self) -> bool:
        return self.get_clock().ros_time_is_active

    def _follow_sim_time(self, clock: SimClock) -> None:
        """Wake the control thread with every /clock message."""
        ros_clock = self.get_clock()

        def moved(jump: TimeJump) -> None:
            clock.set(ros_clock.now().nanoseconds)

        self._jump_handle = ros_clock.create_jump_callback(
            JumpThreshold(
                min_forward=Duration(nanoseconds=1),
                min_backward=Duration(nanoseconds=-1),
                on_clock_change=False,
            ),
            post_callback=moved,
        )

    def _now_ns(self) -> int:
        """Time of the sensors' stamps, ns."""
        return self._sim_clock.now_ns() if self._sim_clock is not None else time.time_ns()

    @staticmethod
    def _stamp(now_ns: int) -> Time:
        return Time(sec=now_ns // 1_000_000_000, nanosec=now_ns % 1_000_000_000)

    def _warn(self, warning: str) -> None:
        if warning:
            self.get_logger().warning(warning)


def main() -> None:
    """Run the node until interrupted."""
    raise SystemExit(run(PolicyNode))


if __name__ == '__main__':
    main()
