"""Pure part of inference; nothing here imports rclpy, and time is passed in."""
