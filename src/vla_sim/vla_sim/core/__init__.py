"""Simulator core: kinematics, world, task and scripted expert. Knows nothing of ROS."""
