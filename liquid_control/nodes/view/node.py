# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The view's node: serves the page, and talks to the policy node and the recorder for it.

Threads: the executor serves parameters and the answers of other nodes; the server's thread does
everything else. Nothing here is needed to drive or to stop; where the view ends, a hand that drove
from it is a hand that let go.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

from liquid_control.common.packages import explained
from liquid_control.nodes.common.lifecycle import ManagedNode, run
from liquid_control.nodes.common.parameters import guard_parameters, read_parameters
from liquid_control.nodes.view.access import LOOPBACK_NAMES, Gate, Rules
from liquid_control.nodes.view.addresses import (
    addresses,
    is_loopback,
    listen,
    own_names,
    tokens,
)
from liquid_control.nodes.view.parameters import ViewParameters

if TYPE_CHECKING:
    from liquid_control.nodes.view.live import Live
    from liquid_control.nodes.view.server import Server


class ViewNode(ManagedNode):
    """Parameters: `ViewParameters`; topics and services as the policy node and recorder have."""

    def __init__(self) -> None:
        super().__init__('view_node', autostart=True)
        self._server: Server | None = None
        self._live: Live | None = None
        read_parameters(self, ViewParameters)
        # Also while inactive: a process has one server and one address.
        guard_parameters(self, ViewParameters, lambda: self._server is not None)

    def setup(self) -> None:
        """Serve; pages are turned away until the node is active."""
        if self._server is not None:
            return
        parameters = read_parameters(self, ViewParameters)
        listener = listen(parameters.host, parameters.port)
        # After what may fail at once: NiceGUI takes a second or two, and need not be installed.
        try:
            from liquid_control.nodes.view.live import Live
            from liquid_control.nodes.view.page import make_app
            from liquid_control.nodes.view.robot import RobotView
            from liquid_control.nodes.view.server import Server
        except ImportError as error:
            raise explained(error) from error
        loopback = is_loopback(parameters.host)
        kept = None if loopback else tokens(parameters.token_file)
        names = LOOPBACK_NAMES | {name.lower() for name in parameters.names}
        rules = Rules(
            names=names if loopback else names | own_names(),
            beyond_loopback=not loopback,
            tokens=kept,
            read_only=parameters.read_only,
        )
        self._robot = RobotView(self, parameters)
        self._live = live = Live(
            self._robot,
            lambda: self.get_clock().now().to_msg(),
            period=1 / parameters.image_rate,
            max_viewers=parameters.max_viewers,
            on_error=lambda text: self.get_logger().error(text, throttle_duration_sec=5.0),
        )
        app = make_app(self._robot, live, self.get_namespace().strip('/') or 'liquid_control')
        port = listener.getsockname()[1]
        self._server = Server(
            partial(Gate, rules=rules, cookie=f'liquid_control_{port}')(app), listener, live.run
        )
        self._server.start()
        for line in addresses(parameters.host, port, kept, read_only=parameters.read_only):
            # Not logged: /rosout is recorded, and recordings are given away.
            print(f'[view_node] {line}', file=sys.stderr, flush=True)

    def start(self) -> None:
        """Let pages in."""
        assert self._live is not None
        self._live.open = True

    def stop(self) -> None:
        """Close all pages; a hand that drives from one lets go."""
        if self._live is not None:
            self._live.open = False

    def destroy_node(self) -> None:
        """End the server, then the node."""
        if self._server is not None:
            self._server.stop()
            self._robot.close()
        super().destroy_node()


def main() -> None:
    """Run the node as a process."""
    sys.exit(run(ViewNode))


if __name__ == '__main__':
    main()
