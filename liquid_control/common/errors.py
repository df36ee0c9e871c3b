# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Errors that a user can act on.

A message says what was expected, what was found and what to do next. Everything a user can cause
derives from `LiquidControlError`; the command line prints it as one line, a node refuses with it.
Mistakes inside the program stay `ValueError` or `RuntimeError`.
"""


class LiquidControlError(Exception):
    """Something outside the program is not as it must be; the message says what to do."""

    def __str__(self) -> str:
        """Fit for a terminal, a log and a ROS message, whatever a file made it quote."""
        return super().__str__().encode('utf-8', 'backslashreplace').decode()


class BundleError(LiquidControlError):
    """A policy bundle is missing, damaged or does not keep its contract."""


class SensorError(LiquidControlError):
    """A sensor message holds values that must not reach a policy."""


class ImageError(SensorError):
    """A camera image cannot be decoded or does not fit the policy's geometry."""


class ProviderError(LiquidControlError):
    """The execution provider asked for is not the one in use."""


class ConfigError(LiquidControlError):
    """A parameter or option has a value that cannot work."""
