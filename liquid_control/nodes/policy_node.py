"""The policy node: sensors in, a liquid policy at a fixed rate, commands out.

A camera frame's way: `Inbox.receive` -> `Vision` (decode, encode) -> `Sensors` ->
`Controller.tick` (core network, safety envelope) -> `CommandPort.publish`.

Threads: the executor serves parameters, services and overrides; the vision thread waits for frames
and encodes them; the control thread takes the newest of the other sensors and ticks. One lock
guards the controller and is held for no longer than a tick.
"""

from __future__ import annotations

import contextlib
import math
import signal
import threading
import time
import traceback
from typing import Any

from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from std_srvs.srv import SetBool, Trigger

from liquid_control.msg import ControlMode
from liquid_control.nodes.commands import CommandPort
from liquid_control.nodes.diagnostics import Diagnostics
from liquid_control.nodes.lifecycle import ManagedNode, run
from liquid_control.nodes.parameters import guard_parameters, read_parameters
from liquid_control.nodes.policies import SLOTS, Policies, load_pilot
from liquid_control.nodes.policy_parameters import PolicyParameters
from liquid_control.nodes.reporting import Measured, ShadowReport, StateReport, to_stamp
from liquid_control.nodes.sensing import Sensing
from liquid_control.runtime import realtime
from liquid_control.runtime.assets import find_bundle, robot_file
from liquid_control.runtime.controller import Controller, Mode, Tick
from liquid_control.runtime.errors import LiquidControlError
from liquid_control.runtime.image import Pixels, stay_in_one_thread
from liquid_control.runtime.observation import Sensors
from liquid_control.runtime.pilot import Frame, see_all
from liquid_control.runtime.rate import Cycle, FixedRate, SimClock, SteadyClock
from liquid_control.runtime.robot import Robot
from liquid_control.runtime.timing import Timing
from liquid_control.runtime.trial import Trials
from liquid_control.runtime.vision import Vision

_LATCHED = QoSProfile(
    depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
)
# How long a deactivated robot may take to brake before the node goes on without waiting, s.
_BRAKING_TIMEOUT = 3.0
# How far /clock may lag behind the sensors on a busy machine, ns.
_CLOCK_LAG_NS = 1_000_000_000
# How often the command topic is looked at for rivals and lost listeners, s.
_TOPIC_CHECK_PERIOD = 0.5


class PolicyNode(ManagedNode):
    """See the module docstring; parameters in policy_parameters.py."""

    def __init__(self) -> None:
        super().__init__('policy_node')
        self._lock = threading.Lock()
        self._trials = Trials()
        self._sensing: Sensing | None = None
        self._vision: Vision | None = None
        self._sim_clock: SimClock | None = None
        self._loop: threading.Thread | None = None
        self._cancelled = threading.Event()
        self._had_listener = False
        self._configured = contextlib.ExitStack()
        self._active = contextlib.ExitStack()
        read_parameters(self, PolicyParameters)
        guard_parameters(self, PolicyParameters, lambda: self.configured, self._on_parameters)

    # Lifecycle

    def setup(self) -> None:
        """Load the policies and make every publisher and service."""
        self.parameters = parameters = read_parameters(self, PolicyParameters)
        pilot = load_pilot(parameters.policy, parameters, self._warn, self._trials)
        robot = Robot.load(robot_file(parameters.robot))
        self._controller = Controller(
            pilot,
            robot,
            on_mode=self._publish_mode,
            override_timeout=parameters.override_timeout,
        )
        rate = parameters.control_rate or pilot.policy.contract.control_rate
        self._timing = Timing(rate)
        self._period_ns = round(1e9 / rate)
        self._sim_clock = SimClock() if self.get_clock().ros_time_is_active else None
        self._policies = Policies(
            self._controller,
            parameters,
            trials=self._trials,
            lock=self._lock,
            now_ns=self._now_ns,
            warn=self._warn,
        )
        made = self._configured
        self._modes = self.create_publisher(ControlMode, '~/mode', _LATCHED)
        made.callback(self.destroy_publisher, self._modes)
        self._commands = CommandPort(
            self,
            command_type=parameters.command_type,
            names=pilot.policy.contract.command_names,
            wheelbase=robot.wheelbase,
            frame_id=parameters.frame_id,
            on_override=self._on_override,
        )
        made.callback(self._commands.close)
        self._states = StateReport(self)
        made.callback(self._states.close)
        self._shadow = ShadowReport(self, rate)
        made.callback(self._shadow.close)
        for kind, topic, serve in (
            (SetBool, '~/engage', self._on_engage),
            (Trigger, '~/promote', self._on_promote),
        ):
            made.callback(self.destroy_service, self.create_service(kind, topic, serve))
        diagnostics = Diagnostics(
            self,
            parameters,
            self._timing,
            self._controller,
            self._commands,
            lambda: self._vision,
        )
        made.callback(diagnostics.close)
        self.get_logger().info(
            f'policy {pilot.policy.contract.name} on {pilot.policy.engine.provider}, {rate:g} Hz, '
            f'robot {robot.name}'
        )

    def start(self) -> None:
        """Begin to sense and to tick; nothing moves before it is engaged."""
        realtime.keep_memory()
        realtime.take_short_turns()
        stay_in_one_thread()
        started = self._active
        self._cancelled.clear()
        self._had_listener = False
        self._controller.pilot.forget()
        compressed = self.parameters.image_transport == 'compressed'
        self._sensing = sensing = Sensing(
            self, self._watching, self._arrival_ns, compressed=compressed, clock=self._sim_clock
        )
        sensing.start()
        started.callback(sensing.stop)
        if sensing.camera is not None:
            self._vision = Vision(
                sensing.camera.receive,
                self._on_frame,
                compressed=compressed,
                now_ns=self._arrival_ns,
                on_error=self._on_sensor_error,
            )
            self._vision.start()
            started.callback(self._vision.stop)
        realtime.freeze_garbage()
        started.callback(realtime.thaw_garbage)
        if self.parameters.lock_memory:
            self._warn(realtime.lock_memory())
        timer = self.create_timer(_TOPIC_CHECK_PERIOD, self._check_command_topic)
        started.callback(self.destroy_timer, timer)
        self._loop = threading.Thread(
            target=self._run, args=(sensing,), name='control', daemon=True
        )
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
            self._send_last_stop()
        self._active.close()
        self._sensing = self._vision = None

    def interrupt(self) -> None:
        """A policy that is being loaded must not keep the node from ending."""
        self._trials.cancel()

    def release(self) -> None:
        """Give back what `setup` made, as far as it got."""
        self._configured.close()

    # The control thread

    def _run(self, sensing: Sensing) -> None:
        """The control thread: a defect in it ends the node, and the robot is told to stop."""
        try:
            self._tick_until_cancelled(sensing)
        except Exception:
            self._send_last_stop()
            self.get_logger().fatal(f'defect in the control loop:\n{traceback.format_exc()}')
            signal.raise_signal(signal.SIGTERM)

    def _tick_until_cancelled(self, sensing: Sensing) -> None:
        if self.parameters.priority:
            self._warn(realtime.set_priority(self.parameters.priority))
        if cores := self.parameters.cpu_affinity or realtime.CORES:
            self._warn(realtime.set_affinity(cores))
        rate = FixedRate(self._period_ns, self._sim_clock or SteadyClock())
        while (cycle := rate.wait(self._cancelled)) is not None:
            now_ns = cycle.now_ns if self._sim_clock is not None else time.time_ns()
            with self._lock:
                sensing.update()
                tick = self._controller.tick(now_ns, stalled=cycle.stalled)
                shadow = self._controller.shadow
            if tick.command is not None:
                self._commands.publish(tick.command, to_stamp(now_ns))
            self._report(tick, cycle)
            if shadow is not None:
                self._shadow.publish(tick, shadow.policy.contract.name)

    def _report(self, tick: Tick, cycle: Cycle) -> None:
        """Tell what this tick saw and did; the command is already on its way."""
        timing, seen = self._timing, tick.action.observation
        measured = Measured(
            frames=self._vision.arrived if self._vision is not None else 0,
            lateness=cycle.lateness_ns / 1e9,
            encoder=self._vision.duration_ns / 1e9 if self._vision is not None else 0.0,
            sense_to_act=(
                (self._now_ns() - seen.image_stamp_ns) / 1e9
                if seen.features is not None
                else math.nan
            ),
        )
        if not cycle.stalled:
            timing.tick(time.monotonic_ns(), measured.lateness, cycle.skipped)
        if tick.action.raw is not None:
            timing.core.append(tick.action.core_ns / 1e9)
            timing.encoder.append(measured.encoder)
        if seen.features is not None:
            timing.sense_to_act.append(measured.sense_to_act)
        self._states.publish(tick, timing, measured)

    # The vision thread

    def _on_frame(self, rgb: Pixels, stamp_ns: int, received_ns: int) -> None:
        """Let the policy in charge and its shadow see a frame."""
        controller = self._controller
        controller.frame = frame = Frame(rgb, stamp_ns, received_ns)
        see_all((controller.pilot, controller.shadow), frame)

    def _on_sensor_error(self, error: LiquidControlError) -> None:
        self.get_logger().warning(str(error), throttle_duration_sec=2.0)

    # The control thread's sensors

    def _watching(self) -> list[Sensors]:
        """Whose slots a sensor message goes to."""
        pilots = (self._controller.pilot, self._controller.shadow)
        return [pilot.sensors for pilot in pilots if pilot is not None]

    # The executor thread

    def _on_engage(self, request: SetBool.Request, response: SetBool.Response) -> Any:
        with self._lock:
            if not request.data:
                self._controller.disengage()
                problem = ''
            elif self._sensing is None:
                problem = 'the node is not active'
            else:
                self._sensing.update()
                problem = self._rivalry() or self._controller.engage(self._now_ns())
        response.success = not problem
        response.message = problem or ('engaged' if request.data else 'disengaged')
        return response

    def _on_promote(self, request: Trigger.Request, response: Trigger.Response) -> Any:
        problem = self._policies.promote()
        if not problem:
            # The parameters say who drives; setting them to what is so already changes nothing.
            names = self._policies.names()
            self.set_parameters([Parameter(key, value=value) for key, value in names.items()])
            self._publish_mode(self._controller.mode, 'shadow policy promoted')
        response.success = not problem
        response.message = problem or f'{self._controller.pilot.name} drives'
        return response

    def _on_override(self, values: tuple[float, ...]) -> None:
        if self._loop is None:
            return
        try:
            with self._lock:
                self._controller.override(values, self._now_ns())
        except ValueError as error:
            self.get_logger().warning(str(error), throttle_duration_sec=2.0)

    def _on_parameters(self, changed: list[Parameter]) -> None:
        """Policies change while driving, all that are named or none."""
        names = {new.name: new.value for new in changed if new.name in SLOTS}
        if not self.configured:
            for slot, name in names.items():
                if name or slot == 'policy':
                    find_bundle(name)
            return
        for slot in self._policies.assign(names):
            # A robot that does not drive keeps the reason why.
            driving = self._controller.mode is Mode.AUTONOMOUS
            change = f'{slot}: {names[slot] or "none"}'
            self.get_logger().info(change)
            self._publish_mode(
                self._controller.mode, change if driving else self._controller.reason
            )

    def _check_command_topic(self) -> None:
        """One master on the command topic, and somebody who listens."""
        listening = self._commands.listeners > 0
        problem = self._rivalry()
        if self._had_listener and not listening:
            problem = problem or 'nobody listens to the command any more'
        self._had_listener = listening
        if problem:
            with self._lock:
                self._controller.stop(problem)

    def _rivalry(self) -> str:
        if self.parameters.exclusive_command and self._commands.rivals > 0:
            return f'another node publishes on {self._commands.topic}'
        return ''

    # Small things

    def _publish_mode(self, mode: Mode, reason: str) -> None:
        message = ControlMode(mode=int(mode), reason=reason)
        message.header.stamp = to_stamp(self._now_ns())
        policy = self._controller.pilot.policy
        message.policy = policy.contract.name
        message.policy_hash = policy.bundle.digest
        self._modes.publish(message)
        # Two calls: a place in the code may log at one severity only.
        if mode is Mode.SAFE_STOP:
            self.get_logger().warning(f'{mode.name}: {reason}')
        else:
            self.get_logger().info(f'{mode.name}: {reason}')

    def _send_last_stop(self) -> None:
        last = self._controller.halt()
        if last is not None:
            self._commands.publish(last, to_stamp(self._now_ns()))

    def _wait_until_at_rest(self) -> None:
        deadline = time.monotonic() + _BRAKING_TIMEOUT
        while self._controller.mode is not Mode.DISENGAGED and time.monotonic() < deadline:
            time.sleep(0.01)

    def _now_ns(self) -> int:
        """Time of the sensors' stamps, ns."""
        return self._sim_clock.now_ns() if self._sim_clock is not None else time.time_ns()

    def _arrival_ns(self) -> int:
        """When a sensor message that comes now has arrived, in the time of the stamps, ns.

        After a pause the queued messages of a sensor come before the /clock that they belong to
        and seem to be of the future; under simulated time the stamp alone tells the age.
        """
        return self._now_ns() + (_CLOCK_LAG_NS if self._sim_clock is not None else 0)

    def _warn(self, warning: str) -> None:
        if warning:
            self.get_logger().warning(warning)


def main() -> None:
    """Run the node until interrupted."""
    # The control thread takes all cores back.
    realtime.leave_a_core()
    # Every thread: one that is kept from a core while it holds the interpreter delays the tick.
    realtime.ask_for_short_slices()
    raise SystemExit(run(PolicyNode))


if __name__ == '__main__':
    main()
