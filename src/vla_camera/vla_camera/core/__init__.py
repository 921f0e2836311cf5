"""Pure values and algorithms; nothing here imports rclpy, and time is passed in."""
