# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What can be wrong with a bag, in words a user can act on."""

from liquid_control.common.errors import LiquidControlError


class BagError(LiquidControlError):
    """A bag is missing, damaged, empty or lacks what was asked of it."""


class DefinitionError(BagError):
    """No definition of a message type can be found on this machine."""


class TopicError(BagError):
    """A bag has not the topic needed, or has several and none was named."""


class EmptyPartError(BagError):
    """A file of a bag holds not one whole message: its writer was killed as it began it."""


class TooLargeError(BagError):
    """A piece of a recording would unpack to more than is allowed."""
