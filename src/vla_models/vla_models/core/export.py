"""Writes a bundle: two ONNX graphs, tokenizer, golden answers and bundle.yaml with hashes.

The golden answers are computed by torch and checked with ONNX Runtime before anything is
replaced, so a bundle that does not compute what was trained never reaches its folder.
"""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
import warnings
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import torch
import yaml

from vla_common.core.errors import InternalError
from vla_models.core import tokens
from vla_models.core.model import Net
from vla_models.core.recipe import Recipe
from vla_sim.core.arm import HOME_Q, JOINTS
from vla_sim.core.expert import chunk
from vla_sim.core.scene import VISION_CAMERAS, Scene

OPSET: Final = 18
TOLERANCE: Final = 1e-3
"""Greatest difference between torch and ONNX Runtime that is accepted [rad], [m]."""
GOLDEN_SEED: Final = 7
POLICY_INPUTS: Final = ("features", "tokens", "joints", "noise", "prev_chunk", "prev_weights")

Arrays = dict[str, npt.NDArray[Any]]


def golden_inputs(recipe: Recipe, tokenizer: Any) -> Arrays:
    """Return images of one scene and two cases of policy inputs: without and with guidance."""
    scene = Scene(recipe.image, seed=GOLDEN_SEED)
    out: Arrays = {f"image_{camera}": scene.render(camera) for camera in VISION_CAMERAS}
    cubes = scene.cubes()
    scene.close()
    rng = np.random.default_rng(GOLDEN_SEED)
    decay = np.clip(1.5 - np.arange(recipe.horizon) / 4.0, 0.0, 1.0)
    for case, colour in enumerate(("red", "blue")):
        joints = HOME_Q + case * np.append(0.1 * rng.normal(size=7), 0.01)
        previous = chunk(joints, cubes[colour], recipe.horizon, recipe.step_dt)
        values = {
            "tokens": tokens.encode(tokenizer, [f"reach the {colour} cube"]),
            "joints": joints[None].astype(np.float32),
            "noise": rng.normal(size=(1, recipe.horizon, len(JOINTS))).astype(np.float32),
            "prev_chunk": previous[None].astype(np.float32),
            "prev_weights": (case * decay)[None].astype(np.float32),
        }
        out.update({f"{name}_{case}": value for name, value in values.items()})
    return out


@torch.no_grad()
def golden_answers(net: Net, arrays: Arrays) -> Arrays:
    """Return features_<case> (C, N, D) and chunk_<case> (1, H, J) as torch computes them."""
    images = np.stack([arrays[f"image_{camera}"] for camera in VISION_CAMERAS])
    features = net.vision(torch.from_numpy(images), torch.arange(len(VISION_CAMERAS)))
    out: Arrays = {}
    for case in (0, 1):
        rest = [torch.from_numpy(arrays[f"{name}_{case}"]) for name in POLICY_INPUTS[1:]]
        out[f"features_{case}"] = features.numpy()
        out[f"chunk_{case}"] = net.policy(features[None], *rest).numpy()
    return out


def to_onnx(net: Net, folder: Path, arrays: Arrays) -> None:
    """Write vision.onnx and policy.onnx, each one file, into ``folder``."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    images = np.stack([arrays[f"image_{camera}"] for camera in VISION_CAMERAS])
    index = torch.arange(len(VISION_CAMERAS))
    batch = torch.export.Dim("batch", min=1)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns about its own internals
        features = net.vision(torch.from_numpy(images), index)
        rest = [torch.from_numpy(arrays[f"{name}_1"]) for name in POLICY_INPUTS[1:]]
        _export(
            net.vision,
            (torch.from_numpy(images), index),
            folder / "vision.onnx",
            (("image", "camera"), ("features",)),
            ({0: batch}, {0: batch}),
        )
        _export(
            net.policy,
            (features[None], *rest),
            folder / "policy.onnx",
            (POLICY_INPUTS, ("chunk",)),
            None,
        )


def _export(
    module: torch.nn.Module,
    inputs: tuple[torch.Tensor, ...],
    path: Path,
    names: tuple[tuple[str, ...], tuple[str, ...]],
    shapes: Any,
) -> None:
    torch.onnx.export(
        module.eval(),
        inputs,
        str(path),
        input_names=list(names[0]),
        output_names=list(names[1]),
        dynamic_shapes=shapes,
        opset_version=OPSET,
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    strip(path)


def strip(path: Path) -> None:
    """Remove what the exporter noted about the source: it names folders of this machine."""
    model = onnx.load(str(path))
    graph = model.graph
    for item in (model, graph, *graph.node, *graph.input, *graph.output, *graph.value_info,
                 *graph.initializer, *model.functions):  # fmt: skip
        item.doc_string = ""
        del item.metadata_props[:]
    onnx.save(model, str(path))


def check(folder: Path, arrays: Arrays) -> float:
    """Return the greatest difference between golden and ONNX Runtime [rad], [m].

    Raises InternalError when it exceeds ``TOLERANCE``.
    """
    vision, policy = session(folder / "vision.onnx"), session(folder / "policy.onnx")
    images = np.stack([arrays[f"image_{camera}"] for camera in VISION_CAMERAS])
    index = np.arange(len(VISION_CAMERAS))
    features = vision.run(None, {"image": images, "camera": index})[0]
    worst = float(np.abs(features - arrays["features_0"]).max())
    for case in (0, 1):
        feed = {name: arrays[f"{name}_{case}"] for name in POLICY_INPUTS[1:]}
        made = policy.run(None, {"features": features[None], **feed})[0]
        worst = max(worst, float(np.abs(made - arrays[f"chunk_{case}"]).max()))
    if not worst <= TOLERANCE:
        raise InternalError(f"{folder}: ONNX Runtime and torch differ by {worst:.2g}")
    return worst


def session(path: Path, threads: int = 1) -> onnxruntime.InferenceSession:
    """Open a graph on the CPU."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def describe(recipe: Recipe, net: Net, folder: Path, training: dict[str, Any]) -> dict[str, Any]:
    """Return bundle.yaml's content for the files in ``folder``."""
    files = ("vision.onnx", "policy.onnx", "tokenizer.json", "golden.npz")
    size = recipe.image
    return {
        "format": 1,
        "name": "reach",
        "version": "1.0.0",
        "description": "Moves sim_arm's hand over the cube that the instruction names by colour.",
        "cameras": [
            {"name": name, "width": size, "height": size, "encoding": "rgb8"}
            for name in VISION_CAMERAS
        ],
        "joints": list(JOINTS),
        "horizon": recipe.horizon,
        "step_dt": recipe.step_dt,
        "tokenizer": {"file": "tokenizer.json", "max_length": recipe.max_tokens},
        "features": {"tokens": int(net.policy.grid.shape[0]), "width": recipe.width},
        "precision": "fp32",
        "tolerance": {"atol": TOLERANCE},
        "files": {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in files},
        "training": training,
    }


def write(
    net: Net, tokenizer: Any, recipe: Recipe, bundle: Path, training: dict[str, Any]
) -> float:
    """Export into ``bundle``, replacing its files; return the greatest parity difference."""
    bundle.mkdir(parents=True, exist_ok=True)
    net = net.eval()
    arrays = golden_inputs(recipe, tokenizer)
    arrays.update(golden_answers(net, arrays))
    with tempfile.TemporaryDirectory(dir=bundle.parent, prefix=".bundle-") as name:
        folder = Path(name)
        to_onnx(net, folder, arrays)
        worst = check(folder, arrays)
        tokenizer.save(str(folder / "tokenizer.json"))
        np.savez_compressed(folder / "golden.npz", allow_pickle=False, **arrays)
        content = describe(recipe, net, folder, training)
        (folder / "bundle.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
        for file in sorted(folder.iterdir(), key=lambda f: f.name == "bundle.yaml"):
            os.replace(file, bundle / file.name)
    return worst
