# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What LTC and CfC layers share: shapes, elapsed times, the state that goes in and comes out."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from numbers import Real
from typing import Any, cast, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from liquid_control.nn import kernels
from liquid_control.nn.intact import altered_child, hooked, intact
from liquid_control.nn.mixed_memory import MixedMemory
from liquid_control.nn.wiring import Wiring

State = Tensor | tuple[Tensor, Tensor]
# Index of a step in the sequence and state [batch, units] before it -> state after it.
Step = Callable[[int, Tensor], Tensor]


class LiquidCell(nn.Module):
    """The equations of one kind of neuron, over a sequence; subclasses own the parameters.

    Attributes:
        input_size, state_size, output_size: inputs, neurons, outputs.
    """

    input_size: int
    state_size: int
    output_size: int

    def __init__(self) -> None:
        super().__init__()
        self._synapses: dict[str, NDArray[np.bool_]] = {}

    @property
    def weight(self) -> Tensor:
        """One of the weights, for its precision and device."""
        raise NotImplementedError

    def forward(self, x: Tensor, state: Tensor, elapsed: Tensor) -> Tensor:
        """States after each step [time, batch, units]; as `scan`, for hooks to be around it."""
        if len(x) > 1:
            return self.scan(x, state, elapsed)
        return self.stepper(x, elapsed)(0, state)[None]

    def altered(self) -> str | None:
        """The name of a submodule that is not as it was made; see `liquid_control.nn.intact`."""
        return None

    def stepper(self, x: Tensor, elapsed: Tensor) -> Step:
        """The equations one step at a time; what depends on no state is computed here.

        Args:
            x: inputs [time, batch, inputs].
            elapsed: seconds since the step before [time, batch], or [] for all.
        """
        raise NotImplementedError

    def step_by_step(self, x: Tensor, elapsed: Tensor) -> Step:
        """As `stepper`, through the hooks on this cell if there are any."""
        if not hooked(self):
            return self.stepper(x, elapsed)
        xs, seconds = x.split(1), elapsed.expand(x.shape[:2]).split(1)
        return lambda t, state: self(xs[t], state, seconds[t])[0]

    def scan(self, x: Tensor, state: Tensor, elapsed: Tensor) -> Tensor:
        """States after each step [time, batch, units], from that before the first [batch, units].

        The same as `stepper` for each step; subclasses hand whole sequences to a kernel.
        """
        return states_of(self.stepper(x, elapsed), state, len(x))

    def readout(self, states: Tensor) -> Tensor:
        """Outputs [..., outputs] of states [..., units]."""
        raise NotImplementedError

    def parameter_masks(self) -> dict[str, Tensor]:
        """Name of each parameter of which only a part acts, and 1 where it does."""
        raise NotImplementedError

    def register_mask(self, name: str, synapses: NDArray[np.integer]) -> None:
        """A buffer that is 1 where a synapse is: it follows from the wiring, and is no weight."""
        self._synapses[name] = synapses != 0
        self.register_buffer(
            name, torch.tensor(self._synapses[name], dtype=torch.get_default_dtype())
        )

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> LiquidCell:
        # A cell that was made on the meta device has no masks until it gets memory.
        unmade = [name for name, mask in self.named_buffers(recurse=False) if mask.is_meta]
        super()._apply(fn, recurse)
        for name in unmade:
            mask = self.get_buffer(name)
            if not mask.is_meta:
                mask.copy_(torch.from_numpy(self._synapses[name]))
        return self

    def _load_from_state_dict(
        self, state_dict: dict[str, Tensor], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        # Masks are part of a state dict for the sake of exchange. They belong to the wiring:
        # loading others would leave a layer whose weights and synapses are of two networks.
        for name, mask in self.named_buffers(recurse=False):
            given = state_dict.get(prefix + name)
            own = torch.from_numpy(self._synapses[name]) if mask.is_meta else mask
            if given is None or given.is_meta:
                continue
            if not torch.equal(given.to(mask.dtype), own.to(given.device, mask.dtype)):
                raise ValueError(
                    f'{prefix}{name}: these weights belong to another wiring; make the layer '
                    'with the wiring they were trained with (sizes and seed), or load it whole'
                )
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


class LiquidLayer(nn.Module):
    """A liquid cell run over a sequence, with the interface of `torch.nn.LSTM` and elapsed times.

    Args:
        cell: the equations.
        return_sequences: return the outputs of every step, or only those of the last.
        batch_first: batched inputs are [batch, time, inputs], or [time, batch, inputs].
        mixed_memory: put an LSTM in front (see `MixedMemory`); the state is then a pair.

    Attributes:
        wiring: which neurons a synapse joins; None where all hear all.
        packed_size: numbers that go from step to step, the memory included.
    """

    wiring: Wiring | None = None

    def __init__(
        self, cell: LiquidCell, return_sequences: bool, batch_first: bool, mixed_memory: bool
    ):
        super().__init__()
        self.input_size = cell.input_size
        self.state_size = cell.state_size
        self.output_size = cell.output_size
        self.return_sequences = bool(return_sequences)
        self.batch_first = bool(batch_first)
        self.mixed_memory = bool(mixed_memory)
        self.packed_size = cell.state_size * (1 + self.mixed_memory)
        # The names `rnn_cell` and `lstm` keep state dicts exchangeable with ncps.
        self.rnn_cell = cell
        self.lstm = MixedMemory(cell.input_size, cell.state_size) if mixed_memory else None

    def forward(
        self,
        x: Tensor,
        state: State | None = None,
        elapsed: Tensor | float | None = None,
    ) -> tuple[Tensor, State]:
        """Run over a sequence.

        Args:
            x: inputs [batch, time, inputs], [time, batch, inputs] where `batch_first` is false,
                or [time, inputs] for a single sequence.
            state: state before the first step, [batch, units] ([units] for a single sequence);
                with mixed memory a pair of these (state, memory). None starts from zeros.
            elapsed: seconds between each step and the step before it, finite and not negative:
                one number, [batch], [batch, time] or [batch, time, 1] (time before batch where
                `batch_first` is false; [time] or [time, 1] for a single sequence). None stands
                for 1 s.

        Returns:
            Outputs [batch, time, outputs], laid out as `x` ([batch, outputs] without
            `return_sequences`), and the state after the last step.

        Raises:
            ValueError: a shape, precision or elapsed time is not one of these; the message says
                what was expected.
        """
        _refuse_others(x, state)
        batched, time_dim = x.dim() == 3, 1 if self.batch_first and x.dim() == 3 else 0
        if x.dim() not in (2, 3) or x.shape[-1] != self.input_size or x.shape[time_dim] == 0:
            lead = 'batch, time' if self.batch_first else 'time, batch'
            raise ValueError(
                f'inputs must be [{lead}, {self.input_size}] or [time, {self.input_size}], of at '
                f'least one step, got {list(x.shape)}'
            )
        x = self._in_own_precision(x)
        seconds = self._seconds(elapsed, x)
        one_number = seconds.dim() == 0
        if not batched:
            x, seconds = x.unsqueeze(1), seconds if one_number else seconds.unsqueeze(1)
            state = _map(state, lambda part: part.unsqueeze(0))
        elif self.batch_first:
            x, seconds = x.transpose(0, 1), seconds if one_number else seconds.transpose(0, 1)

        parts = self._split(state, x)
        with _no_autocast(x.device.type):
            states, after = self._run(x, *parts, seconds)
            outputs = self._readout(states if self.return_sequences else states[-1:])
        if batched and self.batch_first:
            outputs = outputs.transpose(0, 1)
        if not batched:
            outputs, after = outputs.squeeze(1), _map(after, lambda part: part.squeeze(0))
        if not self.return_sequences:
            outputs = outputs.squeeze(1 if batched and self.batch_first else 0)
        return outputs, after

    def step(
        self,
        x: Tensor,
        state: State | None = None,
        elapsed: Tensor | float | None = None,
    ) -> tuple[Tensor, State]:
        """Run a single step, as a controller does.

        Args:
            x: inputs [batch, inputs].
            state: [batch, units], or a pair with mixed memory; None starts from zeros.
            elapsed: seconds since the last step: one number, [batch] or [batch, 1].

        Returns:
            Outputs [batch, outputs] and the state after the step.
        """
        _refuse_others(x, state)
        if x.dim() != 2 or x.shape[1] != self.input_size:
            raise ValueError(
                f'a step takes inputs [batch, {self.input_size}], got {list(x.shape)}'
            )
        x = self._in_own_precision(x)
        seconds, x = self._seconds(elapsed, x), x[None]
        seconds = seconds[None] if seconds.dim() else seconds
        parts = self._split(state, x)
        with _no_autocast(x.device.type):
            states, after = self._run(x, *parts, seconds)
            return self._readout(states[0]), after

    def pack(self, state: State) -> Tensor:
        """The state as one tensor [batch, packed_size], with mixed memory both side by side."""
        return state if isinstance(state, Tensor) else torch.cat(state, dim=-1)

    def unpack(self, packed: Tensor | None) -> State | None:
        """What `pack` was given."""
        if packed is None or not self.mixed_memory:
            return packed
        state, memory = packed.split(self.state_size, dim=-1)
        return state, memory

    @property
    def active_parameter_count(self) -> int:
        """Numbers to train that act; matrices are stored whole, with places without a synapse."""
        masks = self.rnn_cell.parameter_masks()
        total = sum(weight.numel() for weight in self.parameters())
        idle = sum((mask == 0).sum().item() for mask in masks.values())
        return total - int(idle)

    def altered(self) -> str | None:
        """The name of a submodule that is not as it was made; see `liquid_control.nn.intact`."""
        if hooked(self.rnn_cell):
            return 'rnn_cell'
        if self.lstm is not None:
            if not intact(self.lstm, MixedMemory.forward):
                return 'lstm'
            if (name := altered_child(self.lstm, nn.Linear.forward)) is not None:
                return f'lstm.{name}'
        name = self.rnn_cell.altered()
        return None if name is None else f'rnn_cell.{name}'

    def _readout(self, states: Tensor) -> Tensor:
        return self.rnn_cell.readout(states)

    def _run(self, x: Tensor, v: Tensor, memory: Tensor, seconds: Tensor) -> tuple[Tensor, State]:
        """States after each step [time, batch, units], and what the next call starts from."""
        if self.lstm is None:
            states = self.rnn_cell(x, v, seconds)
            # A copy: who changes the state or the outputs in place changes that alone.
            return states, states[-1].clone()
        step, steps = self.rnn_cell.step_by_step(x, seconds), []
        for t, inputs in enumerate(x.unbind()):
            v, memory = self.lstm(inputs, v, memory)
            v = step(t, v)
            steps.append(v)
        return torch.stack(steps), (v, memory)

    def _in_own_precision(self, x: Tensor, what: str = 'inputs') -> Tensor:
        """In the precision of the weights: what autocast made is converted, others refused."""
        weight = self.rnn_cell.weight
        own = weight.dtype
        if x.device != weight.device:
            raise ValueError(
                f'{what} must be on {weight.device}, as the weights of this layer, found on '
                f'{x.device}: move them or the layer with .to()'
            )
        if x.dtype != own and not (_autocast(x.device.type) and x.is_floating_point()):
            raise ValueError(
                f'{what} must be {own}, as the weights of this layer, got {x.dtype}: convert '
                'them or the layer with .to()'
            )
        return x.to(own)

    def _split(self, state: State | None, x: Tensor) -> tuple[Tensor, Tensor]:
        """State and memory (unused without mixed memory), checked."""
        shape = (x.shape[1], self.state_size)
        if state is None:
            zeros = x.new_zeros(shape)
            return zeros, zeros
        parts = (state,) if isinstance(state, Tensor) else tuple(state)
        if len(parts) != 1 + self.mixed_memory:
            expected = 'a pair (state, memory)' if self.mixed_memory else 'one tensor'
            found = 'one tensor' if len(parts) == 1 else f'{len(parts)} of them'
            raise ValueError(f'the state of this layer is {expected}, got {found}')
        for part in parts:
            if part.shape != shape or part.device != x.device:
                raise ValueError(
                    f'the state must be [batch, units] = {list(shape)}, or [units] with a single '
                    f'sequence, on {x.device}; got {list(part.shape)} on {part.device}'
                )
        parts = tuple(self._in_own_precision(part, 'the state') for part in parts)
        return parts[0], parts[-1]

    def _seconds(self, elapsed: Tensor | float | None, x: Tensor) -> Tensor:
        """Elapsed times in the shape of `x` without inputs, or one [] for all steps."""
        lead, seconds = x.shape[:-1], as_seconds(1.0 if elapsed is None else elapsed, x)
        if seconds.dim() == 0:
            return seconds
        if seconds.shape == (*lead, 1):
            return seconds.squeeze(-1)
        if seconds.shape == lead:
            return seconds
        time_dim = 1 if self.batch_first else 0
        if len(lead) == 2 and seconds.shape == (lead[1 - time_dim],):
            return seconds.unsqueeze(time_dim).expand(lead)
        shapes = [list(lead), [*lead, 1]]
        if len(lead) == 2:
            shapes.insert(0, [lead[1 - time_dim]])
        raise ValueError(
            f'elapsed must be one number of seconds or have a shape of {shapes}, '
            f'got {list(seconds.shape)}'
        )


def states_of(step: Step, state: Tensor, steps: int) -> Tensor:
    """States after each step [time, batch, units], from that before the first [batch, units]."""
    states = []
    for t in range(steps):
        state = step(t, state)
        states.append(state)
    return torch.stack(states)


def each_step(elapsed: Tensor, x: Tensor) -> tuple[Tensor, ...]:
    """Seconds [batch, 1] of each step of inputs [time, batch, inputs]."""
    return elapsed.expand(x.shape[:2]).unsqueeze(-1).unbind()


def as_seconds(elapsed: Tensor | float, like: Tensor) -> Tensor:
    """Elapsed times of any shape in the precision of `like`, on its device.

    What is no time (negative, not finite) is refused; where the values are not at hand, on another
    device or under a transform of torch, it becomes NaN, which stays visible.
    """
    if isinstance(elapsed, Real):
        if not 0 <= elapsed <= torch.finfo(like.dtype).max:
            raise _no_time(elapsed, like)
        return torch.as_tensor(elapsed, dtype=like.dtype, device=like.device)
    try:
        # An array says itself what it holds; a list of numbers becomes what is needed.
        kind = None if isinstance(elapsed, np.ndarray) else like.dtype
        given = elapsed if isinstance(elapsed, Tensor) else torch.as_tensor(elapsed, dtype=kind)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f'elapsed must be seconds, as numbers, got {elapsed!r}') from error
    if given.is_complex():
        raise ValueError(f'elapsed must be seconds, as real numbers, got {given.dtype}')
    seconds = given.to(like)
    if not kernels.at_hand(seconds):
        return torch.where((seconds >= 0) & (seconds < math.inf), seconds, math.nan)
    if seconds.numel():
        least, most = (value.item() for value in seconds.detach().aminmax())
        if not 0 <= least <= most < math.inf:
            raise _no_time(most if least >= 0 else least, like)
    return seconds


def _no_time(seconds: float, like: Tensor) -> ValueError:
    return ValueError(
        f'elapsed must be finite and not negative, got {seconds} s in {like.dtype}: look at the '
        'stamps it comes from'
    )


def number_of_units(units: object) -> int:
    """The number of neurons that stands in the place of a wiring."""
    try:
        return operator.index(units)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(
            f'units must be a wiring of liquid_control.nn or a number of neurons, got {units!r}; '
            'from_ncps takes over layers of ncps, wiring included'
        ) from None


def _refuse_others(x: object, state: object) -> None:
    """What is no dense tensor: arrays, packed sequences."""
    parts = state if isinstance(state, tuple | list) else () if state is None else (state,)
    for name, part in (('inputs', x), *(('the state', part) for part in parts)):
        if not isinstance(part, Tensor):
            raise TypeError(
                f'{name} must be torch tensors, got {type(part).__name__}: torch.as_tensor makes '
                'one of an array, torch.nn.utils.rnn.pad_packed_sequence of a packed sequence'
            )
        if part.is_nested or part.layout is not torch.strided:
            raise TypeError(f'{name} must be dense, got a sparse or nested tensor: make it dense')


def _no_autocast(device: str) -> AbstractContextManager[object]:
    """Errors of a coarser precision would add up over the sequence."""
    return torch.autocast(device, enabled=False) if _autocast(device) else nullcontext()


def _autocast(device: str) -> bool:
    return torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)


@overload
def _map(state: State, change: Callable[[Tensor], Tensor]) -> State: ...


@overload
def _map(state: State | None, change: Callable[[Tensor], Tensor]) -> State | None: ...


def _map(state: State | None, change: Callable[[Tensor], Tensor]) -> State | None:
    if isinstance(state, tuple | list):
        # However many there are: `_split` counts them.
        return cast(tuple[Tensor, Tensor], tuple(change(part) for part in state))
    return state if state is None else change(state)
