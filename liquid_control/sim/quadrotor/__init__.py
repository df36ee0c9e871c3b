"""A quadrotor that flies to a coloured target outdoors: body, flight controller, wind, worlds."""
