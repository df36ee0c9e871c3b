"""ROS 2 shells around the runtime: parameters, topics, lifecycle, services."""
