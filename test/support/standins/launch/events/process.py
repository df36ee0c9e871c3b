"""Events of processes."""


class ProcessExited:
    def __init__(self, *, returncode: int) -> None:
        self.returncode = returncode
