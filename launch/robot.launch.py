"""The whole graph of a robot: `ros2 launch vla_bringup robot.launch.py robot:=sim_arm`."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction

from vla_bringup.core.graph import DEFAULT_INSTRUCTION, LOG_LEVELS
from vla_bringup.launching import known_robots, start_robot


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments; the graph itself comes from vla_bringup.core.graph."""
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "robot",
                default_value="sim_arm",
                choices=known_robots(),
                description="Which robot: a file in config/robots, without .yaml",
            ),
            DeclareLaunchArgument(
                "bundle",
                default_value="",
                description="Model bundle: a folder, or a name in bundles/. "
                "Empty: what the robot file names",
            ),
            DeclareLaunchArgument(
                "instruction",
                default_value="",
                description="What to do, in words. Empty: the robot file's; "
                f"in simulation '{DEFAULT_INSTRUCTION}'",
            ),
            DeclareLaunchArgument(
                "use_sim",
                default_value="auto",
                choices=["auto", "true", "false"],
                description="Start the simulated arm in place of drivers; auto: robot.simulated",
            ),
            DeclareLaunchArgument(
                "log_level",
                default_value="info",
                choices=list(LOG_LEVELS),
                description="Log level of all nodes",
            ),
            OpaqueFunction(function=start_robot),
        ]
    )
