"""The parameters that name policies: loading, checking and rehearsing beside the one that drives.

Whatever happens here, the control thread goes on ticking with the policy it has; a new one is
handed over between two ticks, or refused with the reason.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from liquid_control.nodes.policy_parameters import PolicyParameters
from liquid_control.runtime.assets import find_bundle
from liquid_control.runtime.bundle import load_bundle
from liquid_control.runtime.controller import Controller
from liquid_control.runtime.pilot import Pilot
from liquid_control.runtime.policy import Policy
from liquid_control.runtime.providers import ProviderOptions

# Parameter -> attribute of the controller.
SLOTS = {'policy': 'pilot', 'shadow_policy': 'shadow', 'fallback_policy': 'fallback'}


def load_pilot(
    name: str,
    parameters: PolicyParameters,
    warn: Callable[[str], None],
    *,
    may_build: bool = True,
) -> Pilot:
    """Load, check and warm up a policy.

    Args:
        name: a directory, or the name of a shipped bundle.
        may_build: a TensorRT engine may be built, which takes minutes; else it must be there.
        warn: told what takes minutes, and where the provider asked for is not the one in use.

    Raises:
        LiquidControlError: it cannot be run, or must not be.
    """
    policy = Policy(
        load_bundle(find_bundle(name), trusted_keys=parameters.trusted_keys),
        providers=parameters.providers,
        provider_required=parameters.provider_required,
        provider_options=ProviderOptions(
            device_id=parameters.device_id,
            fp16=parameters.fp16,
            engine_cache=parameters.engine_cache,
        ),
        say=warn,
        may_build=may_build,
    )
    if policy.engine.warning:
        warn(policy.engine.warning)
    pilot = Pilot(policy, name=name, time_budget=parameters.time_budget or None)
    sensors = pilot.sensors
    for slot, limit in (
        (sensors.image, parameters.max_image_age),
        (sensors.imu, parameters.max_imu_age),
        (sensors.speed, parameters.max_speed_age),
    ):
        if slot is not None and limit:
            # The YAML may shorten the contract's limits, never lengthen them.
            slot.max_age = min(slot.max_age, limit)
    return pilot


class Policies:
    """Which policy drives, which watches, which stands by; exchanged between two ticks."""

    def __init__(
        self,
        controller: Controller,
        parameters: PolicyParameters,
        *,
        lock: threading.Lock,
        now_ns: Callable[[], int],
        warn: Callable[[str], None],
    ) -> None:
        """Load what the parameters name besides the pilot in charge.

        Args:
            lock: guards the controller.
            now_ns: time of the sensors' stamps.

        Raises:
            LiquidControlError: see `assign`.
        """
        self._controller = controller
        self._parameters = parameters
        self._lock = lock
        self._now_ns = now_ns
        self._warn = warn
        for parameter in ('shadow_policy', 'fallback_policy'):
            self.assign(parameter, getattr(parameters, parameter), may_build=True)

    def assign(self, parameter: str, name: str, *, may_build: bool = False) -> bool:
        """Give a role to a policy; '' leaves the role empty.

        Args:
            may_build: see `load_pilot`; not while somebody may want to disengage.

        Returns:
            Whether anything changed.

        Raises:
            LiquidControlError: it must not drive this robot; nothing has changed.
        """
        attribute = SLOTS[parameter]
        current = getattr(self._controller, attribute)
        if name == (current.name if current is not None else ''):
            return False
        if not name and parameter != 'policy':
            setattr(self._controller, attribute, None)
            return True
        pilot = load_pilot(name, self._parameters, self._warn, may_build=may_build)
        self._controller.check(pilot)
        self._rehearse(pilot)
        with self._lock:
            pilot.sensors.share(self._controller.pilot.sensors)
            if attribute == 'pilot':
                self._controller.use(pilot)
            else:
                setattr(self._controller, attribute, pilot)
        return True

    def promote(self) -> str:
        """Shadow and pilot in charge change places; returns why not."""
        with self._lock:
            return self._controller.promote()

    def names(self) -> dict[str, str]:
        """Parameter -> policy that has the role now."""
        pilots = {slot: getattr(self._controller, name) for slot, name in SLOTS.items()}
        return {slot: pilot.name if pilot else '' for slot, pilot in pilots.items()}

    def _rehearse(self, pilot: Pilot) -> None:
        """Try it on what the sensors see now, while nothing depends on it."""
        pilot.sensors.share(self._controller.pilot.sensors)
        if self._controller.frame is not None:
            pilot.see(self._controller.frame)
        pilot.rehearse(self._now_ns())
