"""The model bundle: one folder with manifest, graphs, tokenizer and golden data.

Graphs take raw inputs (uint8 images, radians, token ids) and give radians, so that training and
serving cannot disagree on normalisation. Everything is refused that does not agree with its
manifest, its hashes, or the robot.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from vla_common.core.errors import ConfigError
from vla_common.core.robot import Robot
from vla_common.core.schema import build, param

FORMAT = 1
REQUIRED_FILES = ("vision.onnx", "policy.onnx", "golden.npz")


@dataclass(frozen=True, kw_only=True)
class BundleCamera:
    """An image the model wants."""

    name: str = param("camera name")
    width: int = param("[px]", low=8, high=8192)
    height: int = param("[px]", low=8, high=8192)
    encoding: str = param("encoding", choices=("rgb8",))


@dataclass(frozen=True, kw_only=True)
class TokenizerSpec:
    """How the instruction becomes token ids."""

    file: str = param("file of the tokenizers library", "tokenizer.json")
    max_length: int = param("tokens, padded with 0", low=1, high=4096)


@dataclass(frozen=True, kw_only=True)
class FeatureSpec:
    """Shape of the vision features of one camera."""

    tokens: int = param("tokens", low=1)
    width: int = param("floats per token", low=1)


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """How far outputs may lie from the golden ones."""

    atol: float = param("largest |difference| of the action chunk [rad or m]", above=0.0)


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """``bundle.yaml``, less its lists of mappings."""

    format: int = param("version of the bundle format", low=FORMAT, high=FORMAT)
    name: str = param("name of the model")
    version: str = param("version of the model")
    joints: tuple[str, ...] = param("joint names, in the order of the action's columns")
    horizon: int = param("rows of an action chunk", low=1, high=1024)
    step_dt: float = param("[s] between rows", above=0.0, high=10.0)
    tokenizer: TokenizerSpec = param("tokenizer")
    features: FeatureSpec = param("vision features")
    tolerance: Tolerance = param("golden check")
    precision: str = param("numeric precision of the graphs", "fp32")
    description: str = param("what the model does", "")


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A bundle that has been read and whose files match their hashes."""

    path: Path
    manifest: Manifest
    cameras: tuple[BundleCamera, ...]
    hashes: dict[str, str] = field(repr=False)

    @property
    def joints(self) -> tuple[str, ...]:
        """Joint names, in the order of the action's columns."""
        return self.manifest.joints

    @property
    def horizon(self) -> int:
        """Rows of an action chunk."""
        return self.manifest.horizon

    @property
    def step_dt(self) -> float:
        """Seconds between rows."""
        return self.manifest.step_dt

    @property
    def model_id(self) -> str:
        """``name@version``."""
        return f"{self.manifest.name}@{self.manifest.version}"

    @property
    def sha256(self) -> str:
        """Hash of all file hashes: changes when any file does."""
        lines = "\n".join(f"{k} {v}" for k, v in sorted(self.hashes.items()))
        return hashlib.sha256(lines.encode()).hexdigest()


def find(name: str, roots: tuple[Path, ...] = ()) -> Path:
    """Return the folder of the bundle ``name``: a path, or a name below one of the roots.

    The roots are ``roots``, then ``$VLA_BUNDLES``, then ``./bundles``, then the source tree's.
    Raises :class:`ConfigError` that lists where it looked.
    """
    direct = Path(name).expanduser()
    if (direct / "bundle.yaml").is_file():
        return direct.resolve()
    places = list(roots)
    if os.environ.get("VLA_BUNDLES"):
        places.append(Path(os.environ["VLA_BUNDLES"]))
    places.append(Path.cwd() / "bundles")
    places.append(Path(__file__).resolve().parents[4] / "bundles")
    for place in places:
        if re.fullmatch(r"[\w.-]+", name) and (place / name / "bundle.yaml").is_file():
            return (place / name).resolve()
    looked = ", ".join(dict.fromkeys(str(p) for p in (direct, *(q / name for q in places))))
    raise ConfigError(
        "bundle", "model.bundle", name, f"a folder with bundle.yaml; looked in {looked}"
    )


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def _check_files(path: Path, where: str, files: Any, tokenizer: str) -> dict[str, str]:
    if not isinstance(files, dict):
        raise ConfigError(where, "files", files, "a mapping from file name to SHA-256")
    for name in (*REQUIRED_FILES, tokenizer):
        if name not in files:
            raise ConfigError(where, f"files.{name}", None, "required: with its SHA-256")
    for name, expected in files.items():
        file = path / str(name)
        if file.resolve().parent != path.resolve():
            raise ConfigError(where, f"files.{name}", name, "a file in the bundle's own folder")
        if not file.is_file():
            raise ConfigError(where, f"files.{name}", "missing", f"a file at {file}")
        found = sha256_of(file)
        if found != expected:
            raise ConfigError(
                where,
                f"files.{name}",
                found,
                f"the SHA-256 in the manifest, {expected}: the file is damaged or was changed",
            )
    return {str(k): str(v) for k, v in files.items()}


def load(path: Path) -> Bundle:
    """Read a bundle folder and check its manifest and hashes. Raises :class:`ConfigError`."""
    manifest_file = path / "bundle.yaml"
    where = str(manifest_file)
    try:
        values = yaml.safe_load(manifest_file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(where, "(file)", error.strerror, "a readable bundle.yaml") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(where, "(file)", str(error), "valid YAML") from error
    if not isinstance(values, dict):
        raise ConfigError(where, "(top)", values, "a mapping of keys to values")
    values = dict(values)
    values.pop("training", None)
    cameras = values.pop("cameras", None)
    files = values.pop("files", None)
    if not isinstance(cameras, list) or not cameras:
        raise ConfigError(where, "cameras", cameras, "a list with at least one camera")
    manifest = build(Manifest, values, where)
    specs = tuple(build(BundleCamera, c, where, f"cameras[{i}]") for i, c in enumerate(cameras))
    if len({(c.width, c.height) for c in specs}) > 1:
        raise ConfigError(
            where, "cameras", [(c.width, c.height) for c in specs], "one size for all"
        )
    hashes = _check_files(path, where, files, manifest.tokenizer.file)
    return Bundle(path=path, manifest=manifest, cameras=specs, hashes=hashes)


def check_robot(bundle: Bundle, robot: Robot) -> None:
    """Check that the bundle was made for this robot. Raises :class:`ConfigError`.

    Joint names and their order, camera names, sizes and encodings must agree; the model's step
    may differ from the control rate, since the player works by time.
    """
    where = str(bundle.path / "bundle.yaml")
    if bundle.joints != robot.joints:
        raise ConfigError(
            where,
            "joints",
            list(bundle.joints),
            f"the joints of {robot.identity.name}, in this order: {list(robot.joints)}",
        )
    for camera in bundle.cameras:
        if camera.name not in robot.camera_names:
            raise ConfigError(
                where,
                "cameras",
                camera.name,
                f"a camera of {robot.identity.name}: {', '.join(robot.camera_names)}",
            )
        own = robot.cameras[robot.camera_names.index(camera.name)]
        if (own.width, own.height) != (camera.width, camera.height):
            raise ConfigError(
                robot.source,
                f"cameras.{camera.name}",
                f"{own.width}x{own.height}",
                f"{camera.width}x{camera.height}, the size the bundle {bundle.model_id} wants",
            )
