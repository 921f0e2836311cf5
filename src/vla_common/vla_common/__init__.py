"""What all rooms of vla_ros share."""
