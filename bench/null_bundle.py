"""Makes a bundle whose graphs do next to nothing, so that the chain itself is measured.

The vision graph reads four pixels, the policy answers with the measured joints. Inputs, outputs,
hashes and golden file are those of a real bundle, so the nodes load and check it as any other.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import yaml
from onnx import TensorProto, helper, numpy_helper

WIDTH, HEIGHT = 640, 480
JOINTS = (*(f"joint{i}" for i in range(1, 8)), "gripper")
HORIZON, STEP_DT = 16, 0.05
TOKENS, CHANNELS, LENGTH = 576, 32, 16  # features per camera as in bundles/reach; words at most
ROWS, COLUMNS = 64, 96  # pixels that become features: ROWS * COLUMNS * 3 = TOKENS * CHANNELS


def _constant(name: str, values: object, dtype: type) -> onnx.TensorProto:
    return numpy_helper.from_array(np.asarray(values, dtype=dtype), name)


def _save(path: Path, nodes: list, inputs: list, output: onnx.ValueInfoProto, init: list) -> None:
    graph = helper.make_graph(nodes, path.stem, inputs, [output], init)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def write_vision(path: Path) -> None:
    """Write vision.onnx: the pixels of one corner, as (B, TOKENS, CHANNELS) float32."""
    nodes = [
        helper.make_node("Slice", ["image", "from", "to", "axes"], ["pixels"]),
        helper.make_node("Cast", ["pixels"], ["values"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["values", "shape"], ["rows"]),
        helper.make_node("Cast", ["camera"], ["index"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["index", "column"], ["indices"]),
        helper.make_node("Mul", ["indices", "nothing"], ["zero"]),
        helper.make_node("Add", ["rows", "zero"], ["features"]),
    ]
    init = [
        _constant("from", [0, 0], np.int64),
        _constant("to", [ROWS, COLUMNS], np.int64),
        _constant("axes", [1, 2], np.int64),
        _constant("shape", [-1, TOKENS, CHANNELS], np.int64),
        _constant("column", [-1, 1, 1], np.int64),
        _constant("nothing", 0.0, np.float32),
    ]
    inputs = [
        helper.make_tensor_value_info("image", TensorProto.UINT8, ["B", HEIGHT, WIDTH, 3]),
        helper.make_tensor_value_info("camera", TensorProto.INT64, ["B"]),
    ]
    output = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["B", TOKENS, CHANNELS])
    _save(path, nodes, inputs, output, init)


def write_policy(path: Path, cameras: int) -> None:
    """Write policy.onnx: every row of the chunk is the measured joints."""
    joints = len(JOINTS)
    floats = ("features", "noise", "prev_chunk", "prev_weights")
    nodes = [helper.make_node("Cast", ["tokens"], ["words"], to=TensorProto.FLOAT)]
    for name in (*floats, "words"):
        nodes.append(helper.make_node("ReduceMax", [name], [f"{name}_max"], keepdims=0))
    nodes += [
        helper.make_node("Sum", [f"{name}_max" for name in (*floats, "words")], ["all"]),
        helper.make_node("Mul", ["all", "nothing"], ["zero"]),
        helper.make_node("Unsqueeze", ["joints", "axis"], ["row"]),
        helper.make_node("Expand", ["row", "shape"], ["rows"]),
        helper.make_node("Add", ["rows", "zero"], ["chunk"]),
    ]
    init = [
        _constant("nothing", 0.0, np.float32),
        _constant("axis", [1], np.int64),
        _constant("shape", [1, HORIZON, joints], np.int64),
    ]
    shapes = {
        "features": [1, cameras, TOKENS, CHANNELS],
        "tokens": [1, LENGTH],
        "joints": [1, joints],
        "noise": [1, HORIZON, joints],
        "prev_chunk": [1, HORIZON, joints],
        "prev_weights": [1, HORIZON],
    }
    inputs = [
        helper.make_tensor_value_info(
            name, TensorProto.INT64 if name == "tokens" else TensorProto.FLOAT, shape
        )
        for name, shape in shapes.items()
    ]
    output = helper.make_tensor_value_info("chunk", TensorProto.FLOAT, [1, HORIZON, joints])
    _save(path, nodes, inputs, output, init)


def write_tokenizer(path: Path) -> None:
    """Write a tokenizer that knows the words of "hold still"."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    words = {"[PAD]": 0, "[UNK]": 1, "hold": 2, "still": 3}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(path))


def write_golden(folder: Path, cameras: tuple[str, ...]) -> None:
    """Write golden.npz: random inputs, and what ONNX Runtime makes of them."""
    random = np.random.default_rng(0)
    vision = onnxruntime.InferenceSession(str(folder / "vision.onnx"))
    policy = onnxruntime.InferenceSession(str(folder / "policy.onnx"))
    images = random.integers(0, 256, (len(cameras), HEIGHT, WIDTH, 3), dtype=np.uint8)
    golden = {f"image_{name}": image for name, image in zip(cameras, images)}
    for case, weight in enumerate((0.0, 0.5)):
        indices = np.arange(len(cameras), dtype=np.int64)
        features = vision.run(None, {"image": images, "camera": indices})[0]
        inputs = {
            "tokens": random.integers(0, 4, (1, LENGTH), dtype=np.int64),
            "joints": random.normal(size=(1, len(JOINTS))).astype(np.float32),
            "noise": random.normal(size=(1, HORIZON, len(JOINTS))).astype(np.float32),
            "prev_chunk": np.zeros((1, HORIZON, len(JOINTS)), np.float32),
            "prev_weights": np.full((1, HORIZON), weight, np.float32),
        }
        chunk = policy.run(None, {"features": features[None], **inputs})[0]
        for name, value in {**inputs, "features": features, "chunk": chunk}.items():
            golden[f"{name}_{case}"] = value
    np.savez_compressed(folder / "golden.npz", **golden)


def write_manifest(folder: Path, cameras: tuple[str, ...]) -> None:
    """Write bundle.yaml with the SHA-256 of every file."""
    names = ("vision.onnx", "policy.onnx", "tokenizer.json", "golden.npz")
    manifest = {
        "format": 1,
        "name": "null",
        "version": "1.0.0",
        "description": "Holds the arm where it is. For measuring the chain, not for use.",
        "cameras": [
            {"name": name, "width": WIDTH, "height": HEIGHT, "encoding": "rgb8"} for name in cameras
        ],
        "joints": list(JOINTS),
        "horizon": HORIZON,
        "step_dt": STEP_DT,
        "tokenizer": {"file": "tokenizer.json", "max_length": LENGTH},
        "features": {"tokens": TOKENS, "width": CHANNELS},
        "precision": "fp32",
        "tolerance": {"atol": 1.0e-3},
        "files": {n: hashlib.sha256((folder / n).read_bytes()).hexdigest() for n in names},
        "training": {"method": "none: written by bench/null_bundle.py"},
    }
    (folder / "bundle.yaml").write_text(yaml.safe_dump(manifest, sort_keys=False))


def write_bundle(folder: Path, cameras: tuple[str, ...] = ("front",)) -> Path:
    """Write the whole bundle into ``folder``, made if need be; return it."""
    folder.mkdir(parents=True, exist_ok=True)
    write_vision(folder / "vision.onnx")
    write_policy(folder / "policy.onnx", len(cameras))
    write_tokenizer(folder / "tokenizer.json")
    write_golden(folder, cameras)
    write_manifest(folder, cameras)
    return folder


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where to write the bundle")
    print(json.dumps({"bundle": str(write_bundle(parser.parse_args().folder))}))
