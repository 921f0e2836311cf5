"""Which settings of Fast DDS a process that commands the arm takes."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from vla_common.core.transport import PROFILE_VARIABLES, control_profile

CONFIG = Path(__file__).resolve().parents[3] / "config"
NAMESPACE = "{http://www.eprosima.com/XMLSchemas/fastRTPS_Profiles}"


@pytest.mark.parametrize("variable", PROFILE_VARIABLES)
def test_ours_is_exchanged_for_the_one_beside_it(variable: str) -> None:
    found = control_profile({variable: str(CONFIG / "fastdds.xml"), "HOME": "/"})
    assert found == {variable: str(CONFIG / "fastdds_control.xml")}


def test_a_profile_of_the_users_own_stays(tmp_path: Path) -> None:
    mine = tmp_path / "mine.xml"
    mine.touch()
    assert control_profile({PROFILE_VARIABLES[0]: str(mine)}) == {}
    beside = tmp_path / "mine_control.xml"
    beside.touch()
    assert control_profile({PROFILE_VARIABLES[0]: str(mine)}) == {PROFILE_VARIABLES[0]: str(beside)}


@pytest.mark.parametrize("value", [None, "", "/", "nowhere/fastdds.xml"])
def test_without_a_profile_nothing_changes(value: str | None) -> None:
    assert control_profile({} if value is None else {PROFILE_VARIABLES[0]: value}) == {}


def kinds(name: str) -> list[str | None]:
    """Return the kinds of transport in a profile."""
    return [kind.text for kind in ET.parse(CONFIG / name).iter(f"{NAMESPACE}type")]


def test_the_profiles_differ_in_shared_memory_alone() -> None:
    assert kinds("fastdds.xml") == ["SHM", "UDPv4"]
    assert kinds("fastdds_control.xml") == ["UDPv4"]
    leases = [
        [ET.tostring(found) for found in ET.parse(CONFIG / name).iter(f"{NAMESPACE}builtin")]
        for name in ("fastdds.xml", "fastdds_control.xml")
    ]
    assert leases[0] == leases[1] and leases[0]
