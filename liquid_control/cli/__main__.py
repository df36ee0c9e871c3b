# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""`python -m liquid_control.cli`: the command where it is not on the path, as under torchrun."""

from liquid_control.cli.main import main

if __name__ == '__main__':
    main()
