"""The live view: a page that shows the robot and lets a person steer it."""
