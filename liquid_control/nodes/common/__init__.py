"""What all nodes share: lifecycle, parameters, DDS settings."""
