"""Rewrites paths of the build machine in the ROS wheels' exported CMake files.

The wheels' files under ``share/*/cmake`` name the interpreter they were built with,
``/opt/python/cp3XX-cp3XX/...``; CMake stops on an include folder that does not exist. This puts
this environment's folders in their place. Running it twice changes nothing.
"""

from __future__ import annotations

import re
import sys
import sysconfig
from pathlib import Path

PREFIX = r"/opt/python/cp3\d+-cp3\d+"


def mend(text: str, include: str, site_packages: str) -> str:
    """Return ``text`` with the build machine's include and site-packages folders replaced."""
    text = re.sub(PREFIX + r"/include/python3\.\d+", include, text)
    return re.sub(PREFIX + r"/lib/python3\.\d+/site-packages", site_packages, text)


def main() -> int:
    """Mend every CMake file under this environment's ``share``; say how many changed."""
    include = sysconfig.get_path("include")
    site_packages = sysconfig.get_path("purelib")
    changed = 0
    for path in sorted(Path(sys.prefix, "share").glob("*/cmake/*.cmake")):
        text = path.read_text()
        mended = mend(text, include, site_packages)
        if mended != text:
            path.write_text(mended)
            changed += 1
    print(f"[setup] mended {changed} CMake files of the ROS wheels")
    return 0


if __name__ == "__main__":
    sys.exit(main())
