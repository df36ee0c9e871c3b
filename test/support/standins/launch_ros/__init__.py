"""Stands in for ROS 2's `launch_ros` where that is not installed."""
