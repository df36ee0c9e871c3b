"""Studies of cells alone, in torch: no robot, no simulator."""
