"""The embedded simulator: a MuJoCo car with a camera and an IMU on a painted track."""
