"""What a URDF says about joints: their kind, limits and soft limits.

After the URDF specification (wiki.ros.org/urdf/XML/joint, read 2026-11): ``lower``, ``upper``,
the soft limits and ``k_position`` are 0 where they are left out; ``limit`` with ``velocity`` and
``effort`` is required of revolute and prismatic joints. There is no acceleration and no jerk.

Read with xml.etree: urdf_parser_py, the Python parser that ROS distributions have, stands on the
package index only as a source release of 2021.
"""

from __future__ import annotations

import math
import os
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from vla_common.core.errors import ConfigError

BOUNDED = ("revolute", "prismatic")
MOVING = (*BOUNDED, "continuous")
PACKAGE = "package://"

ShareOf = Callable[[str], Path]
"""Gives the share folder of an installed package; raises LookupError for an unknown one."""


@dataclass(frozen=True, slots=True)
class UrdfJoint:
    """One moving joint [rad or m, and seconds, Nm or N]; None: the URDF does not say.

    ``lower`` < ``upper`` unless the joint is continuous, then both are None. A soft range that
    says nothing (0, 0) is None, and so is an ``effort`` or ``k_position`` of 0.
    """

    name: str
    lower: float | None
    upper: float | None
    velocity: float | None
    effort: float | None
    soft_lower: float | None
    soft_upper: float | None
    k_position: float | None

    @property
    def continuous(self) -> bool:
        """Whether the joint turns without end."""
        return self.lower is None


def installed_share(package: str) -> Path:
    """Return an installed package's share folder. Raises LookupError."""
    from ament_index_python.packages import get_package_share_directory  # not everywhere

    return Path(get_package_share_directory(package))


def share_folders(environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Return the folders that hold packages' share folders, the overlaying ones first."""
    prefixes = environment.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    return tuple(os.path.join(prefix, "share") for prefix in prefixes if prefix)


def resolve_package(uri: str, share_of: ShareOf = installed_share) -> Path:
    """Return the file behind ``package://<package>/<path>`` or a plain path.

    Raises LookupError for a package that is not installed.
    """
    if not uri.startswith(PACKAGE):
        return Path(os.path.expanduser(uri))
    package, _, rest = uri.removeprefix(PACKAGE).partition("/")
    return share_of(package) / rest


class Urdf:
    """A URDF that has been parsed; joints are checked when they are asked for."""

    def __init__(self, path: Path, root: ET.Element) -> None:
        self.path = path
        self.links = tuple(link.get("name", "") for link in root.findall("link"))
        self._joints = root.findall("joint")

    @property
    def moving(self) -> tuple[str, ...]:
        """Names of the joints that can be commanded: moving, and no mimic of another."""
        found = (j for j in self._joints if j.get("type") in MOVING and j.find("mimic") is None)
        return tuple(joint.get("name", "") for joint in found)

    def joint(self, name: str) -> UrdfJoint:
        """Return a moving joint. Raises LookupError, or :class:`ConfigError` naming this file."""
        found = [j for j in self._joints if j.get("name") == name]
        if len(found) > 1:
            raise ConfigError(str(self.path), f"joint {name}", len(found), "a name used once")
        if not found or name not in self.moving:
            raise LookupError(name)
        return _Reader(str(self.path), name, found[0]).joint()

    def mimics(self, name: str) -> str | None:
        """Return the joint that ``name`` follows; None: it follows none."""
        for joint in self._joints:
            mimic = joint.find("mimic")
            if joint.get("name") == name and mimic is not None:
                return mimic.get("joint", "")
        return None


def read(path: Path) -> Urdf:
    """Parse a URDF. Raises OSError, or :class:`ConfigError` for what is no URDF."""
    where = str(path)
    try:
        root = ET.parse(path).getroot()
    except ET.ParseError as error:
        raise ConfigError(where, "(file)", str(error), "valid XML") from error
    except (ValueError, LookupError) as error:  # an encoding that nobody knows
        raise ConfigError(where, "(file)", str(error), "XML in a known encoding") from error
    if root.tag != "robot":
        raise ConfigError(where, "(top)", root.tag, "<robot>, as in every URDF")
    for element in root.iter():
        tag = str(element.tag)
        if tag.startswith("{") and tag.partition("}")[0].endswith("/xacro"):
            allowed = "a URDF; this is xacro: make a URDF of it first, `xacro in.xacro > out.urdf`"
            raise ConfigError(where, "(top)", tag.partition("}")[2], allowed)
    return Urdf(path, root)


class _Reader:
    """Reads one joint element; every refusal names file, joint and attribute."""

    def __init__(self, where: str, name: str, element: ET.Element) -> None:
        self._where = where
        self._name = name
        self._element = element
        self._bounded = element.get("type") in BOUNDED

    def joint(self) -> UrdfJoint:
        """Return the joint. Raises :class:`ConfigError`."""
        lower, upper = self._range("limit", "lower", "upper") if self._bounded else (None, None)
        soft = self._range("safety_controller", "soft_lower_limit", "soft_upper_limit")
        return UrdfJoint(
            name=self._name,
            lower=lower,
            upper=upper,
            velocity=self._velocity(),
            effort=self._optional("limit", "effort"),
            soft_lower=soft[0] if self._bounded else None,
            soft_upper=soft[1] if self._bounded else None,
            k_position=self._optional("safety_controller", "k_position"),
        )

    def _refuse(self, tag: str, key: str, value: object, allowed: str) -> ConfigError:
        place = f"joint {self._name}.{tag}.{key}".rstrip(".")
        return ConfigError(self._where, place, value, allowed)

    def _number(self, tag: str, key: str) -> float | None:
        """Return a finite attribute; None where it is left out."""
        element = self._element.find(tag)
        text = None if element is None else element.get(key)
        if text is None:
            return None
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise self._refuse(tag, key, text, "a finite number")
        return value

    def _optional(self, tag: str, key: str) -> float | None:
        """Return an attribute > 0; None where it is left out or 0, the format's default."""
        value = self._number(tag, key)
        if value is not None and value < 0.0:
            raise self._refuse(tag, key, value, ">= 0")
        return value or None

    def _velocity(self) -> float | None:
        value = self._number("limit", "velocity")
        if value is None and self._bounded:
            raise self._refuse("limit", "velocity", None, "required of a bounded joint")
        if value is not None and value <= 0.0:
            raise self._refuse("limit", "velocity", value, "> 0; many exporters write 0")
        return value

    def _range(self, tag: str, low: str, high: str) -> tuple[float | None, float | None]:
        """Return a range; (None, None) where the element of an optional one says nothing."""
        hard = tag == "limit"
        if hard and self._element.find(tag) is None:
            raise self._refuse(tag, "", None, "required of a revolute or prismatic joint")
        lower, upper = self._number(tag, low) or 0.0, self._number(tag, high) or 0.0
        if lower < upper:
            return lower, upper
        if not hard and lower == upper == 0.0:
            return None, None
        raise self._refuse(tag, low, lower, f"below {high}, which is {upper:g}")
