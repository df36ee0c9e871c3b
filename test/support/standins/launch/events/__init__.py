"""The events that launch files here use."""


class Shutdown:
    def __init__(self, *, reason: str) -> None:
        self.reason = reason
