#!/usr/bin/env bash
# Sets up everything that the README's commands need, once: system packages (apt, when it may),
# the virtual environment .venv, ROS 2 (the sourced one, else wheels), and the colcon build.
# Usage: tools/setup.sh [--dev]      --dev adds what tests, lint and training need.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
ROOT=$PWD
PYTHON=${PYTHON:-python3}
# Where tools/env.sh was sourced, python3 is that of .venv: the one it was made from is meant.
PYTHON=$("$PYTHON" -c 'import sys; print(getattr(sys, "_base_executable", sys.executable))') \
  || { echo "setup: no Python: $PYTHON" >&2; exit 2; }
DEV=false
for argument in "$@"; do
  case $argument in
    --dev) DEV=true ;;
    *) echo "setup: unknown argument '$argument'; allowed: --dev" >&2; exit 2 ;;
  esac
done

say() { printf '\033[1m[setup]\033[0m %s\n' "$*"; }
die() { printf '[setup] error: %s\n' "$*" >&2; exit 1; }

# --- where ROS comes from: the environment that is sourced, or the package index -------------
if [ -n "${ROS_DISTRO:-}" ] && "$PYTHON" -c 'import rclpy' 2>/dev/null && [ -z "${VLA_ROS_WHEELS:-}" ]; then
  ROS_FROM=sourced
else
  ROS_FROM=wheels
fi

# --- the interpreter ----------------------------------------------------------------------
"$PYTHON" - <<'PY' || die "Python 3.10 to 3.13 is needed (3.11 or later without a sourced ROS); name one with PYTHON=/path/to/python3.12"
import os, sys
low = (3, 10) if os.environ.get("ROS_DISTRO") else (3, 11)
sys.exit(not (low <= sys.version_info[:2] <= (3, 13)))
PY
if [ "$ROS_FROM" = wheels ] && { [ "$(uname -s)" != Linux ] || [ "$(uname -m)" != x86_64 ]; }; then
  die "without a sourced ROS the wheels are used, and these exist for Linux x86-64 only; here is $(uname -s) $(uname -m): source /opt/ros/<distro>/setup.bash first"
fi

# --- system packages ------------------------------------------------------------------------
missing=()
command -v g++ >/dev/null || missing+=(g++)
command -v make >/dev/null || missing+=(make)
command -v cmake >/dev/null || missing+=(cmake)
command -v git >/dev/null || missing+=(git)
"$PYTHON" -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
"$PYTHON" - <<'PY' || missing+=(python3-dev)
import os, sys, sysconfig
sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))
PY
ldconfig -p 2>/dev/null | grep -q 'libEGL\.so\.1' || missing+=(libegl1)
ls /usr/lib/*/dri/*swrast*_dri.so /usr/lib/*/dri/kms_swrast_dri.so /usr/lib/*/libgallium*.so >/dev/null 2>&1 || ls /usr/lib/*/dri/swrast_dri.so >/dev/null 2>&1 || missing+=(libgl1-mesa-dri)
ldconfig -p 2>/dev/null | grep -q 'libGL\.so\.1' || missing+=(libgl1)
if [ ${#missing[@]} -gt 0 ]; then
  line="apt-get update && apt-get install -y --no-install-recommends ${missing[*]}"
  if ! command -v apt-get >/dev/null; then
    die "these are missing, install them with your package manager: ${missing[*]}"
  elif [ "$(id -u)" = 0 ]; then
    say "installing system packages: ${missing[*]}"
    (export DEBIAN_FRONTEND=noninteractive; apt-get -q update && apt-get -q install -y --no-install-recommends "${missing[@]}") >/tmp/vla_ros_apt.$$ 2>&1 || { cat /tmp/vla_ros_apt.$$; die "apt-get failed"; }
    rm -f /tmp/vla_ros_apt.$$
  elif sudo -n true 2>/dev/null; then
    say "installing system packages with sudo: ${missing[*]}"
    sudo -n sh -c "$line" >/dev/null
  else
    die "system packages are missing; type this line, then start again:
    sudo sh -c '$line'"
  fi
fi

# setuptools 80 and later break colcon's --symlink-install, so nothing may pull it in.
pip_install() { PIP_DISABLE_PIP_VERSION_CHECK=1 .venv/bin/pip install -qq -c tools/constraints.txt "$@"; }

# --- the virtual environment ------------------------------------------------------------------
[ "$ROS_FROM" = sourced ] && FROM="sourced $ROS_DISTRO" || FROM=wheels
stamp_of() { cat "$@" <(echo "$FROM $("$PYTHON" --version) $ROOT") | sha256sum | cut -c1-16; }
RUNTIME=(tools/requirements.txt)
[ "$ROS_FROM" = wheels ] && RUNTIME=(tools/requirements-ros.txt tools/ros-jazzy-constraints.txt tools/requirements.txt)
runtime_stamp=$(stamp_of "${RUNTIME[@]}" tools/constraints.txt tools/mend_cmake.py)
if [ "$(cat .venv/.runtime-stamp 2>/dev/null)" != "$runtime_stamp" ]; then
  say "making .venv ($("$PYTHON" --version), ROS: $ROS_FROM); a minute or two"
  options=(--clear)
  [ "$ROS_FROM" = sourced ] && options+=(--system-site-packages)
  "$PYTHON" -m venv "${options[@]}" .venv
  rm -rf build install
  pip_install --upgrade pip wheel 'setuptools<80'
  if [ "$ROS_FROM" = wheels ]; then
    pip_install -r tools/requirements-ros.txt -c tools/ros-jazzy-constraints.txt
    .venv/bin/python tools/mend_cmake.py
  fi
  # The messages of a sourced Humble or Jazzy were compiled against NumPy 1.
  [ "$ROS_FROM" = sourced ] && numpy=('numpy<2') || numpy=()
  pip_install "${numpy[@]}" -r tools/requirements.txt
  touch .venv/COLCON_IGNORE
  echo "$runtime_stamp" > .venv/.runtime-stamp
fi
if $DEV; then
  dev_stamp=$(stamp_of tools/requirements-dev.txt)
  if [ "$(cat .venv/.dev-stamp 2>/dev/null)" != "$dev_stamp" ]; then
    say "adding what tests, lint and training need"
    torch_index=()
    [ -n "${VLA_TORCH_INDEX:-}" ] && torch_index=(--extra-index-url "$VLA_TORCH_INDEX")
    pip_install "${torch_index[@]}" -r tools/requirements-dev.txt
    echo "$dev_stamp" > .venv/.dev-stamp
  fi
fi

# --- the workspace ----------------------------------------------------------------------------
# A package is built anew when what colcon installs from it has changed; Python sources are
# linked, so that an edit needs no build.
build_stamp=$( { echo "$runtime_stamp"; cat .venv/.dev-stamp 2>/dev/null || true; find msg launch config src colcon.meta \
  \( -path '*/__pycache__' -o -path '*/test' \) -prune -o -type f \
  \( -name package.xml -o -name setup.py -o -name setup.cfg -o -name CMakeLists.txt -o -name '*.msg' -o -name '*.srv' \
     -o -path 'launch/*' -o -path 'config/*' -o -name colcon.meta -o -path '*/models/*' \) -print0 | sort -z | xargs -0 sha256sum
  find src -name '*.py' -not -path '*/test/*' | sort; find test -name '*.py' | sort; } | sha256sum | cut -c1-16)
if [ "$(cat install/.build-stamp 2>/dev/null)" != "$build_stamp" ]; then
  say "building the workspace with colcon"
  # shellcheck source=tools/env.sh
  set +u; VLA_NO_INSTALL=1 . tools/env.sh; set -u
  [ ! -d install ] || find install -xtype l -delete # links to files that are gone
  colcon --log-base build/log build --symlink-install --base-paths src \
    --event-handlers console_cohesion- console_direct- summary+ \
    --cmake-args -DPython3_EXECUTABLE="$ROOT/.venv/bin/python" -Wno-dev -DCMAKE_BUILD_TYPE=Release
  echo "$build_stamp" > install/.build-stamp
fi
