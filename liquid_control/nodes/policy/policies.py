# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The parameters that name policies: loading, checking and trying beside the one that drives.

Whatever happens here, the control thread goes on ticking with the policy it has; a new one is
handed over between two ticks, or refused with the reason.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

from liquid_control.common.assets import find_bundle
from liquid_control.common.errors import BundleError
from liquid_control.contract.contract import Contract
from liquid_control.contract.modes import Mode
from liquid_control.nodes.policy.parameters import PolicyParameters, age_limits
from liquid_control.runtime.control.controller import Controller
from liquid_control.runtime.control.runner import Frame, PolicyRunner
from liquid_control.runtime.inference.policy import Policy
from liquid_control.runtime.inference.providers import ProviderOptions
from liquid_control.runtime.inference.session import LOADING_HOLDS_INTERPRETER
from liquid_control.runtime.inference.trial import Limits, TrialReport, Trials
from liquid_control.runtime.sensing.ingest import Ingest

# How long a robot that drives may be without a tick while a policy is loaded, s.
LONGEST_HOLD = 0.25

# How long a few steps on the live observation may take; the trial has timed others, s.
DRY_RUN_SECONDS = 5.0
_PATIENCE = 0.1  # s
# Within which what a policy sees besides must come before it may drive a robot on its way, s.
ARRIVAL = 2.0
_LOOK_AGAIN = 0.02  # s

# Parameter -> attribute of the controller.
SLOTS = {'policy': 'runner', 'shadow_policy': 'shadow', 'fallback_policy': 'fallback'}


def load_runner(
    name: str,
    parameters: PolicyParameters,
    warn: Callable[[str], None],
    trials: Trials,
    *,
    may_build: bool = True,
) -> PolicyRunner:
    """Load, check and warm up a policy that was tried before in a process of its own.

    Args:
        name: a directory, or the name of a shipped bundle.
        may_build: a TensorRT engine may be built, which takes minutes; else it must be there.
        warn: told what takes minutes, and where the provider asked for is not the one in use.

    Raises:
        LiquidControlError: it cannot be run, or must not be.
    """
    bundle, report = trials.load(
        find_bundle(name),
        trusted_keys=parameters.trusted_keys,
        limits=Limits(parameters.load_timeout, parameters.load_memory),
        keep_off=parameters.cpu_affinity,
    )
    if LOADING_HOLDS_INTERPRETER and not may_build and report.loading > LONGEST_HOLD:
        raise BundleError(
            f'policy {bundle.contract.name} refused: its graphs take {report.loading:.1f} s to '
            'load, and with this version of ONNX Runtime (before 1.31) nothing would drive '
            'meanwhile: name it at start, or install a newer one'
        )
    if parameters.providers[:1] == ('cpu',):
        _check_times(bundle.contract, report, parameters.time_budget)

    def on_status(text: str) -> None:
        trials.check_cancelled()  # a TensorRT engine is built for minutes, and says so all along
        warn(text)

    policy = Policy(
        bundle,
        providers=parameters.providers,
        provider_required=parameters.provider_required,
        provider_options=ProviderOptions(
            device_id=parameters.device_id,
            fp16=parameters.fp16,
            engine_cache=parameters.engine_cache,
        ),
        on_status=on_status,
        may_build=may_build,
    )
    if policy.backend.warning:
        warn(policy.backend.warning)
    if parameters.attention_rate:
        # Now, not when somebody asks: to load a graph may hold up whoever drives.
        policy.open_attention()
    runner = PolicyRunner(policy, name=name, time_budget=parameters.time_budget or None)
    for input_name, limit in age_limits(parameters.max_ages).items():
        slot = runner.sensors.slots.get(input_name)
        if slot is not None:
            # The YAML may shorten the contract's limits, never lengthen them.
            slot.max_age = min(slot.max_age, limit)
    return runner


def _check_times(contract: Contract, report: TrialReport, time_budget: float) -> None:
    """Refuse a policy that was too slow when it was tried."""
    budget = time_budget or contract.period_ns / 2e9
    if report.core > budget:
        raise BundleError(
            f'policy {contract.name} refused: {report.core * 1e3:.1f} ms a step when it was '
            f'tried, budget {budget * 1e3:.1f} ms; see time_budget'
        )
    for name, seconds in report.encoders.items():
        limit = contract.inputs[name].max_age
        if seconds > limit:
            raise BundleError(
                f'policy {contract.name} refused: {seconds:.3f} s a camera frame ({name}) when it '
                f'was tried; the frame would be too old, limit {limit:.3f} s'
            )


class Policies:
    """Which policy drives, which watches, which stands by; exchanged between two ticks."""

    def __init__(
        self,
        controller: Controller,
        parameters: PolicyParameters,
        *,
        trials: Trials,
        lock: threading.Lock,
        now_ns: Callable[[], int],
        warn: Callable[[str], None],
        listen: Callable[[PolicyRunner], None] = lambda runner: None,
    ) -> None:
        """Load what the parameters name besides the runner in charge.

        Args:
            trials: by which policies are loaded.
            lock: guards the controller.
            now_ns: time of the sensors' stamps.
            listen: subscribes what a policy sees.

        Raises:
            LiquidControlError: see `assign`.
        """
        self.stuck = False
        """Whether a dry run never returned: its thread computes on."""
        self.candidate: Ingest | None = None
        """Of a policy that is about to drive: it wants to hear what comes."""
        self._controller = controller
        self._parameters = parameters
        self._trials = trials
        self._lock = lock
        self._now_ns = now_ns
        self._warn = warn
        self._listen = listen
        names = {slot: getattr(parameters, slot) for slot in SLOTS}
        self.assign(names, may_build=True)

    def assign(self, names: Mapping[str, str], *, may_build: bool = False) -> list[str]:
        """Give roles to policies; '' leaves a role empty.

        All are loaded and judged first; then all are put in place, between two ticks.

        Args:
            names: parameter -> policy.
            may_build: see `load_runner`; not while somebody may want to disengage.

        Returns:
            The parameters by which anything has changed.

        Raises:
            LiquidControlError: one of them must not drive this robot, or, where the policy in
                charge is driving, sees what has not come; nothing has changed.
        """
        before = self.names()
        changed = [slot for slot, name in names.items() if name != before[slot]]
        runners = {
            SLOTS[slot]: self._judged(names[slot], may_build, drives=slot == 'policy')
            if names[slot] or slot == 'policy'
            else None
            for slot in changed
        }
        with self._lock:
            in_charge = self._controller.runner
            for role, runner in runners.items():
                if runner is not None:
                    runner.ingest.share(in_charge.ingest)
                if role == 'runner' and runner is not None:
                    self._controller.use(runner)
                else:
                    setattr(self._controller, role, runner)
        return changed

    def promote(self) -> str:
        """Shadow and runner in charge change places; returns why not."""
        with self._lock:
            shadow = self._controller.shadow
            if shadow is not None and self._controller.mode is Mode.AUTONOMOUS:
                problem = shadow.sensors.observe(self._now_ns()).problem
                if problem:
                    return _would_stop(shadow, problem)
            return self._controller.promote()

    def names(self) -> dict[str, str]:
        """Parameter -> policy that has the role now."""
        runners = {slot: getattr(self._controller, name) for slot, name in SLOTS.items()}
        return {slot: runner.name if runner else '' for slot, runner in runners.items()}

    def _judged(self, name: str, may_build: bool, *, drives: bool) -> PolicyRunner:
        """Loaded, and tried on what the sensors see now, while nothing depends on it.

        Args:
            drives: it is to be in charge: what it sees must be there if the robot is on its way.
        """
        runner = load_runner(name, self._parameters, self._warn, self._trials, may_build=may_build)
        self._controller.check(runner)
        self._listen(runner)
        runner.ingest.share(self._controller.runner.ingest)
        self.candidate = runner.ingest if drives else None
        try:
            self._in_time(lambda: self._dry_run(runner, drives), f'policy {name}')
        finally:
            self.candidate = None
        return runner

    def _dry_run(self, runner: PolicyRunner, drives: bool) -> None:
        shown: dict[str, Frame] = {}
        deadline = time.monotonic() + ARRIVAL
        while True:
            for camera, frame in tuple(self._controller.frames.items()):
                if shown.get(camera) is not frame:
                    shown[camera] = frame
                    runner.encode(camera, frame)
            problem = runner.sensors.observe(self._now_ns()).problem
            if not (problem and drives and self._controller.mode is Mode.AUTONOMOUS):
                break
            if time.monotonic() > deadline:
                raise BundleError(_would_stop(runner, problem))
            time.sleep(_LOOK_AGAIN)
        runner.dry_run(self._now_ns())

    def _in_time(self, work: Callable[[], None], what: str) -> None:
        """Do it in a thread that can be left alone: a step may hang on what is seen just now."""
        problems: list[Exception] = []

        def attempt() -> None:
            try:
                work()
            except Exception as error:
                problems.append(error)

        thread = threading.Thread(target=attempt, name='dry run', daemon=True)
        thread.start()
        deadline = time.monotonic() + DRY_RUN_SECONDS
        while thread.is_alive():
            thread.join(_PATIENCE)
            self._trials.check_cancelled()
            if time.monotonic() > deadline:
                self.stuck = True
                raise BundleError(
                    f'{what} did not return from a step on the live observation within '
                    f'{DRY_RUN_SECONDS:g} s; it computes on until the node ends: restart it soon'
                )
        if problems:
            raise problems[0]


def _would_stop(runner: PolicyRunner, problem: str) -> str:
    return (
        f'policy {runner.name} refused: {problem}: the robot would stop, so the one in charge '
        'drives on; see to that input, or disengage first'
    )
