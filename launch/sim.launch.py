"""The simulated robot alone: `ros2 launch vla_bringup sim.launch.py`."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction

from vla_bringup.core.graph import LOG_LEVELS
from vla_bringup.launching import start_simulator


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments; the process itself comes from vla_bringup.core.graph."""
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "robot",
                default_value="sim_arm",
                description="Robot file of the simulated arm: a name in config/robots, or a path",
            ),
            DeclareLaunchArgument(
                "seed", default_value="0", description="Seed of the scene: where the cubes lie"
            ),
            DeclareLaunchArgument(
                "video", default_value="", description="Record to this .mp4 file. Empty: do not"
            ),
            DeclareLaunchArgument(
                "log_level",
                default_value="info",
                choices=list(LOG_LEVELS),
                description="Log level of the node",
            ),
            OpaqueFunction(function=start_simulator),
        ]
    )
