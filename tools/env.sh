# Source this to get the environment of the workspace: `. tools/env.sh`.
# Where ROS comes from the package index there is no setup.bash of a distribution; its place is
# taken by the variables that point at the virtual environment.
_vla_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
if [ -d "$_vla_root/.venv/share/rclpy" ] || [ -d "$_vla_root/.venv/share/ament_index" ]; then
  export AMENT_PREFIX_PATH="$_vla_root/.venv" CMAKE_PREFIX_PATH="$_vla_root/.venv"
  # Not ROS_DISTRO: that is how tools/setup.sh knows a distribution that was sourced.
  export ROS_VERSION=2 ROS_PYTHON_VERSION=3
  export RMW_IMPLEMENTATION="${RMW_IMPLEMENTATION:-rmw_fastrtps_cpp}"
fi
export PATH="$_vla_root/.venv/bin:$PATH"
export PYTHONPATH="${PYTHONPATH:-}"
export MUJOCO_GL="${MUJOCO_GL:-egl}"
export FASTRTPS_DEFAULT_PROFILES_FILE="${FASTRTPS_DEFAULT_PROFILES_FILE:-$_vla_root/config/fastdds.xml}"
if [ -z "${VLA_NO_INSTALL:-}" ] && [ -f "$_vla_root/install/setup.bash" ]; then
  . "$_vla_root/install/setup.bash"
fi
unset _vla_root
