"""Which settings of Fast DDS a process takes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

PROFILE_VARIABLES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
"""Name the XML file with the settings; Fast DDS 3 knows the second one only."""
SUFFIX = "_control"


def control_profile(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that let a process do without shared memory.

    That is what commands the arm, and the simulated arm itself.

    Where a profile NAME.xml is named and NAME_control.xml stands beside it, that one is taken.
    Empty where there is none: then the profile of all holds, or the stock settings of Fast DDS.
    """
    changed = {}
    for variable in PROFILE_VARIABLES:
        profile = Path(environment.get(variable, ""))
        if not profile.name:
            continue
        control = profile.with_name(f"{profile.stem}{SUFFIX}{profile.suffix}")
        if control.is_file():
            changed[variable] = str(control)
    return changed
