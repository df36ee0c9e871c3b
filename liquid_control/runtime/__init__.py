"""What runs on the robot: numpy, onnxruntime and opencv; neither rclpy nor torch."""
