# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The policy node: sensors in, a liquid policy at a fixed rate, commands out.

A camera frame's way: `Cameras` -> `Inbox.receive` -> `Vision` (decode, encode) -> `Sensors` ->
`Controller.begin, think, decide` (core network, safety envelope) -> `CommandPort.publish`.

Threads: the control thread takes the newest of the other sensors and ticks; a thread for each
camera waits for frames and encodes them; a shadow has a thread of its own, and so has what the
policy looks at (attention.py). The guard takes
overrides, answers `~/engage` and steers while the control thread is overdue (guard.py). The
executor serves what may take its time: parameters, by which policies are loaded, transitions and
diagnostics. One
lock guards the controller (helm.py); no policy's code runs under it.
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
from std_srvs.srv import Trigger

from liquid_control.common.assets import find_bundle, robot_file
from liquid_control.common.errors import ConfigError, SensorError
from liquid_control.common.image import stay_in_one_thread
from liquid_control.contract.contract import Contract
from liquid_control.contract.modes import Mode
from liquid_control.contract.robot import Robot
from liquid_control.contract.wire import FORMS
from liquid_control.nodes.common.clock import is_simulated
from liquid_control.nodes.common.lifecycle import ManagedNode, run
from liquid_control.nodes.common.parameters import guard_parameters, read_parameters
from liquid_control.nodes.common.patient_log import PatientLog
from liquid_control.nodes.policy.attention import AttentionThread
from liquid_control.nodes.policy.cameras import Cameras
from liquid_control.nodes.policy.commands import CommandPort
from liquid_control.nodes.policy.diagnostics import Diagnostics
from liquid_control.nodes.policy.flight_status import FlightStatusInput
from liquid_control.nodes.policy.guard import Guard, GuardedDrive
from liquid_control.nodes.policy.helm import Helm
from liquid_control.nodes.policy.parameters import PolicyParameters
from liquid_control.nodes.policy.policies import SLOTS, Policies, load_runner
from liquid_control.nodes.policy.pose import PoseInput
from liquid_control.nodes.policy.reporting import ModeReport, ShadowReport, StateReport
from liquid_control.nodes.policy.sensing import Sensing
from liquid_control.nodes.policy.shadow import ShadowThread
from liquid_control.runtime.control.controller import Controller, Tick
from liquid_control.runtime.control.runner import PolicyRunner
from liquid_control.runtime.control.state_message import Measured
from liquid_control.runtime.inference.trial import Trials
from liquid_control.runtime.loop import realtime
from liquid_control.runtime.loop.rate import Cycle, FixedRate, SimClock, SteadyClock
from liquid_control.runtime.loop.timing import LoopTiming
from liquid_control.runtime.sensing.ingest import Ingest

# How long a deactivated robot may take to brake before the node goes on without waiting, s.
_BRAKING_TIMEOUT = 3.0
# How long the end of a drive may wait for a thread that may be stuck in a policy, s.
_PATIENCE = 0.5


class PolicyNode(ManagedNode):
    """See the module docstring; parameters in policy_parameters.py."""

    # Braking, then the patience with three threads, and what is left for everything else, s.
    end_within = _BRAKING_TIMEOUT + 2.0

    def __init__(self) -> None:
        super().__init__('policy_node')
        self._lock = threading.Lock()
        self._trials = Trials()
        self._helm: Helm | None = None
        self._sensing: Sensing | None = None
        self._pose: PoseInput | None = None
        self._flight_status: FlightStatusInput | None = None
        self._cameras: Cameras | None = None
        self._sim_clock: SimClock | None = None
        self._loop: threading.Thread | None = None
        self._cancelled = threading.Event()
        self._told: tuple[Mode, str] | None = None
        self._configured = contextlib.ExitStack()
        self._active = contextlib.ExitStack()
        read_parameters(self, PolicyParameters)
        guard_parameters(self, PolicyParameters, lambda: self.configured, self._on_parameters)
        self._log = PatientLog(self)
        self._guard = Guard(self, self._log)
        self._guard.start()

    # Lifecycle

    def setup(self) -> None:
        """Load the policies and make every publisher and service."""
        self.parameters = parameters = read_parameters(self, PolicyParameters)
        runner = load_runner(parameters.policy, parameters, self._warn, self._trials)
        robot = Robot.load(robot_file(parameters.robot))
        self._controller = Controller(
            runner,
            robot,
            on_mode=self._publish_mode,
            override_timeout=parameters.override_timeout,
            steady_ns=time.monotonic_ns,
            simulated=is_simulated(self),
            needs_pose=FORMS[parameters.command_type].in_world,
            needs_offboard=robot.offboard or FORMS[parameters.command_type].in_world,
        )
        rate = _control_rate(parameters.control_rate, runner.policy.contract)
        self._timing = LoopTiming(rate)
        self._period_ns = round(1e9 / rate)
        self._sim_clock = SimClock() if is_simulated(self) else None
        self._policies = Policies(
            self._controller,
            parameters,
            trials=self._trials,
            lock=self._lock,
            now_ns=self._now_ns,
            warn=self._warn,
            listen=self._listen,
        )
        made = self._configured
        self._modes = ModeReport(self)
        made.callback(self._modes.close)
        self._commands = CommandPort(
            self,
            command_type=parameters.command_type,
            names=runner.policy.contract.command_names,
            wheelbase=robot.wheelbase,
            frame_id=parameters.frame_id,
            passive_listeners=parameters.passive_listeners,
        )
        made.callback(self._commands.close)
        self._helm = Helm(
            self._controller,
            self._commands,
            lock=self._lock,
            period=1 / rate,
            now_ns=self._now_ns,
            why_silent=self._why_silent,
        )
        self._states = StateReport(self)
        made.callback(self._states.close)
        comparison = ShadowReport(self, rate)
        made.callback(comparison.close)
        self._shadow = ShadowThread(self._controller, comparison)
        self._attention = AttentionThread(
            self, self._controller, rate=parameters.attention_rate, log=self._log
        )
        made.callback(self._attention.close)
        promote = self.create_service(Trigger, '~/promote', self._on_promote)
        made.callback(self.destroy_service, promote)
        diagnostics = Diagnostics(
            self,
            parameters,
            self._timing,
            self._controller,
            self._commands,
            lambda: self._cameras,
            self._shadow,
        )
        made.callback(diagnostics.close)
        self.get_logger().info(
            f'policy {runner.policy.contract.name} on {runner.policy.backend.provider}, '
            f'{rate:g} Hz, robot {robot.name}'
        )

    def start(self) -> None:
        """Begin to sense and to tick; nothing moves before it is engaged."""
        realtime.keep_memory()
        realtime.take_short_turns()
        stay_in_one_thread()
        helm, started = self._drive_helm, self._active
        self._sensing = sensing = Sensing(
            self,
            self._watching,
            self._now_ns,
            compressed=self.parameters.image_transport == 'compressed',
            clock=self._sim_clock,
        )
        started.callback(sensing.stop)
        if self._controller.pose is not None:
            self._pose = PoseInput(
                self,
                self._controller.pose,
                arrival_ns=sensing.arrival_ns,
                now_ns=self._now_ns,
                px4=FORMS[self.parameters.command_type].in_world,
            )
            started.callback(self._pose.close)
        if self._controller.offboard.needed:
            self._flight_status = FlightStatusInput(
                self,
                lambda status: self._controller.offboard.tell(status, time.monotonic_ns()),
                px4=FORMS[self.parameters.command_type].in_world,
            )
            started.callback(self._flight_status.close)
        self._cameras = cameras = Cameras(
            self._controller,
            arrival_ns=sensing.arrival_ns,
            time_is_known=self._time_is_known,
            log=self._log,
        )
        started.callback(lambda: self._let_go('vision', cameras.stop(_PATIENCE)))
        controller = self._controller
        for runner in (controller.runner, controller.shadow, controller.fallback):
            if runner is not None:
                self._listen(runner)
        sensing.start()
        self._shadow.start()
        started.callback(lambda: self._let_go('shadow', self._shadow.stop(_PATIENCE)))
        self._attention.start()
        started.callback(lambda: self._let_go('attention', self._attention.stop(_PATIENCE)))
        realtime.freeze_garbage()
        started.callback(realtime.thaw_garbage)
        if self.parameters.lock_memory:
            self._warn(realtime.lock_memory())
        helm.start()
        self._begin_control()
        self._guard.watch(
            GuardedDrive(
                helm,
                self._commands,
                sense=self._sense,
                recover=self._recover,
                exclusive=self.parameters.exclusive_command,
                priority=self.parameters.priority,
            )
        )

    def stop(self) -> None:
        """Brake, send a last stop, end every thread."""
        if self._loop is not None:
            self._drive_helm.leave('deactivated')
            self._wait_until_at_rest()
            self._drive_helm.end_drive()
            self._guard.leave()  # which begins no other control thread from here on
            self._cancelled.set()
            self._loop.join(_PATIENCE)
            self._let_go('control', not self._loop.is_alive())
            self._loop = None
        self._active.close()
        self._sensing = self._cameras = self._pose = self._flight_status = None

    def interrupt(self) -> None:
        """Brake at once; a policy that is being loaded must not keep the node from ending."""
        self._trials.cancel()
        helm = self._helm
        if helm is not None:
            helm.leave('deactivated')

    def release(self) -> None:
        """Give back what `setup` made, as far as it got."""
        self._configured.close()
        self._helm = None

    def destroy_node(self) -> None:
        """The guard is the last to go."""
        self._guard.close()
        self._log.close()
        super().destroy_node()

    # The control thread

    def _begin_control(self) -> None:
        """Start a control thread; one before it, which may be stuck, ends when it can."""
        self._cancelled.set()
        self._cancelled = threading.Event()
        self._loop = threading.Thread(
            target=self._run, args=(self._cancelled,), name='control', daemon=True
        )
        self._loop.start()

    def _run(self, cancelled: threading.Event) -> None:
        """The control thread: a defect in it ends the node, and the guard stops the robot."""
        try:
            self._tick_until_cancelled(cancelled)
        except Exception:
            self._drive_helm.fail('defect in the control loop')
            self._guard.wake()
            self.get_logger().fatal(f'defect in the control loop:\n{traceback.format_exc()}')
            signal.raise_signal(signal.SIGTERM)

    def _tick_until_cancelled(self, cancelled: threading.Event) -> None:
        if self.parameters.priority:
            self._warn(realtime.set_priority(self.parameters.priority))
        if cores := self.parameters.cpu_affinity or realtime.CORES:
            self._warn(realtime.set_affinity(cores))
        helm, controller = self._drive_helm, self._controller
        rate = FixedRate(self._period_ns, self._sim_clock or SteadyClock())
        while (cycle := rate.wait(cancelled)) is not None:
            now_ns = cycle.now_ns if self._sim_clock is not None else time.time_ns()
            turn, elapsed = helm.begin(now_ns, self._sense)
            tick = helm.end(turn, controller.think(now_ns, elapsed))
            if tick is None:
                self._timing.missed += 1
                continue
            self._shadow.offer(tick)
            self._report(tick, cycle)

    def _report(self, tick: Tick, cycle: Cycle) -> None:
        """Tell what this tick saw and did; the command is already on its way."""
        timing, cameras = self._timing, self._cameras
        stamps = [
            stamp_ns
            for name, stamp_ns in tick.action.observation.stamps.items()
            if name in tick.runner.policy.preprocess
        ]
        measured = Measured(
            frames=cameras.arrived if cameras is not None else 0,
            lateness=cycle.lateness_ns / 1e9,
            encoder=cameras.duration if cameras is not None else 0.0,
            sense_to_act=(self._now_ns() - min(stamps)) / 1e9 if stamps else math.nan,
        )
        timing.tick(time.monotonic_ns(), measured.lateness, cycle.skipped)
        if tick.action.raw is not None:
            timing.core.append(tick.action.core_ns / 1e9)
            timing.encoder.append(measured.encoder)
        if stamps:
            timing.sense_to_act.append(measured.sense_to_act)
        self._states.publish(tick, timing, measured)

    # The control thread's sensors

    def _sense(self) -> None:
        """Put the newest messages into the slots; under the helm's lock."""
        sensing, pose, flight_status = self._sensing, self._pose, self._flight_status
        if sensing is not None:
            sensing.update()
        if pose is not None and self._time_is_known():
            try:
                pose.update()
            except SensorError as error:
                self._log.warning_at_times('pose', str(error))
        if flight_status is not None:
            flight_status.update()

    def _watching(self) -> list[Ingest]:
        """Who gets a sensor message."""
        runners = (self._controller.runner, self._controller.shadow)
        listening = [runner.ingest for runner in runners if runner is not None]
        candidate = self._policies.candidate
        return [*listening, candidate] if candidate is not None else listening

    def _time_is_known(self) -> bool:
        """Whether anybody can judge a stamp yet."""
        return self._sim_clock is None or self._sim_clock.known

    # The guard's thread

    def _recover(self) -> None:
        """Give up threads that are stuck in a policy which is no longer in charge."""
        helm, cameras, runner = self._drive_helm, self._cameras, self._controller.runner
        if helm.stuck is not None and helm.stuck is not runner:
            helm.give_up_thread()
            self._begin_control()
            self.abandoned = True
        if cameras is not None and cameras.recover():
            self.abandoned = True
        if self._shadow.recover() or self._attention.recover():
            self.abandoned = True

    def _why_silent(self) -> str:
        if self._sim_clock is None:
            return 'the control loop stands still'
        return 'clock stopped' if self._sim_clock.known else 'nothing has come on /clock yet'

    # The executor thread

    def _listen(self, runner: PolicyRunner) -> None:
        """Subscribe what a policy sees, from now on or, while the node is inactive, from then on.

        Raises:
            ConfigError: it wants a camera's name for another topic.
        """
        if self._sensing is not None and self._cameras is not None:
            new = self._sensing.subscribe(runner.ingest)
            self._cameras.watch(new, runner.ingest.inputs)
            self._attention.watch(runner)

    def _on_promote(self, request: Trigger.Request, response: Trigger.Response) -> Any:
        stuck = self._shadow.stuck
        problem = f'policy {stuck.name} does not answer' if stuck else self._policies.promote()
        if not problem:
            # The parameters say who drives; setting them to what is so already changes nothing.
            names = self._policies.names()
            self.set_parameters([Parameter(key, value=value) for key, value in names.items()])
            self._drive_helm.announce('shadow policy promoted')
        response.success = not problem
        response.message = problem or f'{self._controller.runner.name} drives'
        return response

    def _on_parameters(self, changed: list[Parameter]) -> None:
        """Policies change while driving, all that are named or none."""
        names = {new.name: new.value for new in changed if new.name in SLOTS}
        if not self.configured:
            for slot, name in names.items():
                if name or slot == 'policy':
                    find_bundle(name)
            return
        try:
            assigned = self._policies.assign(names)
        finally:
            self.abandoned |= self._policies.stuck
        for slot in assigned:
            change = f'{slot}: {names[slot] or "none"}'
            self.get_logger().info(change)
            self._drive_helm.announce(change)

    # Small things

    @property
    def _drive_helm(self) -> Helm:
        """The helm, which is there while the node is configured."""
        assert self._helm is not None
        return self._helm

    def _publish_mode(self, mode: Mode, reason: str) -> None:
        """In the order of what happens: whoever comes here has locked the controller."""
        self._modes.publish(mode, reason, self._controller.runner, self._now_ns())
        if (mode, reason) == self._told:
            return
        self._told = mode, reason
        if mode is Mode.SAFE_STOP:
            self._log.warning(f'{mode.name}: {reason}')
        else:
            self._log.info(f'{mode.name}: {reason}')

    def _let_go(self, thread: str, gone: bool) -> None:
        """A thread that is stuck in a policy is left behind; the process ends without it."""
        if not gone:
            self.abandoned = True
            self._warn(f'the {thread} thread is stuck in a policy and was given up')

    def _wait_until_at_rest(self) -> None:
        deadline = time.monotonic() + _BRAKING_TIMEOUT
        while self._controller.mode is not Mode.DISENGAGED and time.monotonic() < deadline:
            time.sleep(0.01)

    def _now_ns(self) -> int:
        """Time of the sensors' stamps, ns."""
        return self._sim_clock.now_ns() if self._sim_clock is not None else time.time_ns()

    def _warn(self, warning: str) -> None:
        if warning:
            self.get_logger().warning(warning)


def _control_rate(wanted: float, contract: Contract) -> float:
    """In Hz; 0 stands for the policy's own.

    Raises:
        ConfigError: the policy was not made for steps of such a length.
    """
    shortest, longest = contract.elapsed_range
    if wanted and not shortest <= 1 / wanted <= longest:
        raise ConfigError(
            f'control_rate must be 0 or within {1 / longest:g}..'
            f'{1 / shortest if shortest else math.inf:g} Hz, which policy {contract.name} was '
            f'validated for, found {wanted:g}'
        )
    return wanted or contract.control_rate


def main() -> None:
    """Run the node until interrupted."""
    # The control thread takes all cores back.
    realtime.leave_a_core()
    # Every thread: one that is kept from a core while it holds the interpreter delays the tick.
    realtime.ask_for_short_slices()
    raise SystemExit(run(PolicyNode))


if __name__ == '__main__':
    main()
