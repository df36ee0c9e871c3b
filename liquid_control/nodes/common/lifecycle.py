# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Managed nodes: transitions that say why they fail, and the main function that runs a node."""

import contextlib
import faulthandler
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import rclpy
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.exceptions import NameValidationException, ParameterException
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.logging import get_logger
from rclpy.service import Service
from rclpy.signals import SignalHandlerOptions
from rclpy.subscription import Subscription
from rosgraph_msgs.msg import Clock

from liquid_control.common.errors import LiquidControlError
from liquid_control.nodes.common.dds import use_default_profile
from liquid_control.nodes.common.parameters import DumpedParameters
from liquid_control.nodes.common.terminal import never_wait_for_terminal

# How long the end of a node whose work is done may wait for the executor to return, which wakes at
# once for messages, timers, services and signals. Every round costs a millisecond.
_POLL_SECONDS = 0.5

# A node that is told to end may finish what it waits for. `ros2 launch` loses patience after 5 s.
FINISHING_SECONDS = 4.0
_FINISHING_POLL_SECONDS = 0.05
_LAST_WORDS_SECONDS = 0.2
# What a mistake on the command line or in a parameter file raises before there is a node; rclpy's
# own are RuntimeErrors.
START_ERRORS = (LiquidControlError, ParameterException, NameValidationException, RuntimeError)
_NOWHERE = open(os.devnull, 'w')  # noqa: SIM115, it must outlive everything


class ManagedNode(DumpedParameters, LifecycleNode):
    """A lifecycle node whose subclasses fill in plain hooks that raise what goes wrong.

    A `LiquidControlError` in a hook is the user's to mend: it is logged in one line and the
    transition fails, so that it can be tried again. Anything else is a defect: its traceback is
    logged and the node goes through error processing. `release` must cope with a node that is
    only half set up. Shutting down from any state runs `stop` and `release` first.
    """

    end_within: float | None = None
    """How long the end may take after a signal, s: then the process ends as it is. None: as long
    as it takes."""
    abandoned = False
    """Whether a thread was left behind that does not return: the process ends without it."""

    def __init__(self, name: str, *, autostart: bool = False) -> None:
        super().__init__(name)
        for service in self.services:
            service.callback = self._refusing(service)
        self.exit_status: int | None = None
        """Set by a node whose work is done: its process ends with it."""
        self.declare_parameter(
            'autostart',
            autostart,
            ParameterDescriptor(
                description='Configure and activate at start, without a lifecycle manager.',
                read_only=True,
            ),
        )

    def create_subscription(
        self, msg_type: Any, topic: str, callback: Callable[..., None], *rest: Any, **options: Any
    ) -> Subscription:
        """As rclpy's, whose own subscription of /clock ends a process by a time before 1970."""
        if msg_type is Clock:
            callback = _without_negative(callback)
        return super().create_subscription(msg_type, topic, callback, *rest, **options)

    @property
    def state(self) -> str:
        """Name of the primary state: unconfigured, inactive, active or finalized."""
        return str(self._state_machine.current_state[1])

    @property
    def configured(self) -> bool:
        """Whether `setup` has been done and not been undone: its parameters are in use."""
        return self.state in ('inactive', 'active')

    @property
    def finishing(self) -> bool:
        """Whether something is about to end that the node should see, though it is told to end."""
        return False

    def interrupt(self) -> None:
        """Told to end, by a signal: let go what the node waits for, whatever it is doing now.

        Comes in a thread of its own.
        """

    def setup(self) -> None:
        """Configure: read parameters, make publishers and services."""

    def start(self) -> None:
        """Activate: begin to work."""

    def stop(self) -> None:
        """Deactivate: end work begun by `start`."""

    def release(self) -> None:
        """Clean up: give back what `setup` made."""

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Run `setup`; what it made is released again where it fails."""
        result = self._attempt(self.setup)
        if result != TransitionCallbackReturn.SUCCESS:
            self._attempt(self.release)
        return result

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Run `start`."""
        result = self._attempt(self.start)
        return super().on_activate(state) if result == TransitionCallbackReturn.SUCCESS else result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Run `stop`, with lifecycle publishers still able to send."""
        result = self._attempt(self.stop)
        super().on_deactivate(state)
        return result

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Run `release`."""
        return self._attempt(self.release)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Run what the state left behind still needs of `stop` and `release`."""
        if state.label == 'active':
            self._attempt(self.stop)
        if state.label in ('active', 'inactive'):
            self._attempt(self.release)
        return TransitionCallbackReturn.SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Go back to unconfigured after a defect, with nothing left running."""
        self._attempt(self.stop)
        self._attempt(self.release)
        return TransitionCallbackReturn.SUCCESS

    def _refusing(self, service: Service) -> Callable[[Any, Any], Any]:
        """Serve as before; what rclpy raises for a request that makes no sense is a refusal.

        Such as a transition that the state does not allow, or a parameter of no type.
        """
        serve = service.callback

        def answer(request: Any, response: Any) -> Any:
            before = self.state
            try:
                return serve(request, response)
            except Exception as error:
                name = getattr(service.srv_type, '__name__', service.service_name)
                self.get_logger().error(f'{name} refused, the node is {before}: {error}')
                return response

        return answer

    def _attempt(self, hook: Callable[[], None]) -> TransitionCallbackReturn:
        try:
            hook()
        except LiquidControlError as error:
            self.get_logger().error(str(error))
            return TransitionCallbackReturn.FAILURE
        except Exception:
            self.get_logger().fatal(f'defect in {hook.__name__}:\n{traceback.format_exc()}')
            return TransitionCallbackReturn.ERROR
        return TransitionCallbackReturn.SUCCESS


def _without_negative(take: Callable[[Clock], None]) -> Callable[[Clock], None]:
    def take_time(message: Clock) -> None:
        if message.clock.sec >= 0:
            take(message)

    return take_time


def run(node_class: Callable[[], ManagedNode], args: list[str] | None = None) -> int:
    """Run a node until its work is done or a signal ends it; return the process's exit status.

    With the parameter `autostart` the node is configured and activated first, and a failure to do
    so is exit status 1. However it ends, the node goes through its shutdown transition while the
    middleware still works, so that last commands and messages get out. Where all nodes are told to
    end at once, one that sees to the others' end works on while it is `finishing`, for a few
    seconds or until a second signal, SIGTERM.
    """
    use_default_profile()
    never_wait_for_terminal()
    signals: list[int] = []

    def stop(signum: int, frame: FrameType | None) -> None:
        signals.append(signum)

    for signum in ending_signals():
        signal.signal(signum, stop)
    try:
        rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
        node = node_class()
    except START_ERRORS as error:
        get_logger('liquid_control').error(str(error))
        rclpy.try_shutdown()
        return 1
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    status = 1
    try:
        with _woken_by_signals(executor, node):
            if node.get_parameter('autostart').value and not _started(node):
                return status
            while not signals and node.exit_status is None:
                executor.spin_once(timeout_sec=_POLL_SECONDS)
            deadline = time.monotonic() + FINISHING_SECONDS
            while node.finishing and signal.SIGTERM not in signals[1:]:
                if time.monotonic() > deadline:
                    break
                executor.spin_once(timeout_sec=_FINISHING_POLL_SECONDS)
        status = node.exit_status or 0
        return status
    finally:
        # `ros2 launch` repeats itself, and at the interpreter's end nobody handles it any more.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if node.state in ('unconfigured', 'inactive', 'active'):
            node.trigger_shutdown()
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown()
        if node.abandoned:
            # The interpreter's own end would wait for what the thread holds.
            os._exit(status)


def ending_signals() -> tuple[signal.Signals, ...]:
    """What tells a node to end: SIGHUP too, of a connection to the robot that broke off.

    Where it is ignored, as under nohup, it stays so.
    """
    asked = (signal.SIGINT, signal.SIGTERM)
    hears = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
    return (*asked, signal.SIGHUP) if hears else asked


@contextlib.contextmanager
def _woken_by_signals(executor: SingleThreadedExecutor, node: ManagedNode) -> Iterator[None]:
    """The executor waits outside of Python, where no signal handler runs until it is woken."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)

    def wake() -> None:
        bounded = False
        while os.read(reader, 1):
            if node.end_within is not None and not bounded:
                _end_within(node.end_within)
                bounded = True
            executor.wake()
            with contextlib.suppress(Exception):
                node.interrupt()

    thread = threading.Thread(target=wake, name='signals', daemon=True)
    thread.start()
    signal.set_wakeup_fd(writer)
    try:
        yield
    finally:
        signal.set_wakeup_fd(-1)
        os.close(writer)
        thread.join()
        os.close(reader)


def _end_within(seconds: float) -> None:
    """End the process then, whatever hangs: from a thread that needs no interpreter."""
    faulthandler.dump_traceback_later(seconds, exit=True, file=_NOWHERE)

    def tell() -> None:
        time.sleep(seconds - _LAST_WORDS_SECONDS)
        os.write(2, f'not ended within {seconds:g} s: the process ends as it is\n'.encode())

    threading.Thread(target=tell, name='last words', daemon=True).start()


def _started(node: ManagedNode) -> bool:
    success = TransitionCallbackReturn.SUCCESS
    return bool(node.trigger_configure() == success and node.trigger_activate() == success)
