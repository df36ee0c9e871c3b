"""Reading and writing rosbag2 recordings, with and without ROS installed."""
