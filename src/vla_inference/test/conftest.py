"""A tiny bundle whose answer is known: joints + ramp, pulled to prev_chunk by the weights."""

import hashlib

import numpy as np
import onnx
import pytest
import yaml
from onnx import TensorProto, helper, numpy_helper

from vla_common.core.robot import from_parameters

JOINTS = ("a", "b", "grip")
HORIZON = 8
LENGTH = 6


def save(path, nodes, inputs, outputs, constants):
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(n, t, s) for n, t, s in inputs],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in outputs],
        [numpy_helper.from_array(v, n) for n, v in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    onnx.save(model, path)


def make_vision(path):
    save(
        path,
        [
            helper.make_node("Cast", ["image"], ["f"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", ["f"], ["m"], axes=[1, 2], keepdims=0),
            helper.make_node("Cast", ["camera"], ["c"], to=TensorProto.FLOAT),
            helper.make_node("Unsqueeze", ["c", "one"], ["c1"]),
            helper.make_node("Add", ["m", "c1"], ["mc"]),
            helper.make_node("Unsqueeze", ["mc", "one"], ["features"]),
        ],
        [("image", TensorProto.UINT8, ["B", 16, 16, 3]), ("camera", TensorProto.INT64, ["B"])],
        [("features", ["B", 1, 3])],
        {"one": np.array([1], dtype=np.int64)},
    )


def make_policy(path, ramp):
    shape = [1, HORIZON, len(JOINTS)]
    save(
        path,
        [
            helper.make_node("Unsqueeze", ["joints", "one"], ["j"]),
            helper.make_node("Add", ["j", "ramp"], ["free"]),
            helper.make_node("Unsqueeze", ["prev_weights", "two"], ["w"]),
            helper.make_node("Sub", ["prev_chunk", "free"], ["error"]),
            helper.make_node("Mul", ["error", "w"], ["pull"]),
            helper.make_node("Add", ["free", "pull"], ["chunk"]),
        ],
        [
            ("features", TensorProto.FLOAT, [1, "C", 1, 3]),
            ("tokens", TensorProto.INT64, [1, LENGTH]),
            ("joints", TensorProto.FLOAT, [1, len(JOINTS)]),
            ("noise", TensorProto.FLOAT, shape),
            ("prev_chunk", TensorProto.FLOAT, shape),
            ("prev_weights", TensorProto.FLOAT, [1, HORIZON]),
        ],
        [("chunk", shape)],
        {
            "one": np.array([1], dtype=np.int64),
            "two": np.array([2], dtype=np.int64),
            "ramp": ramp[None],
        },
    )


def write_manifest(folder, **changes):
    files = {
        f.name: hashlib.sha256(f.read_bytes()).hexdigest()
        for f in sorted(folder.iterdir())
        if f.name != "bundle.yaml"
    }
    values = {
        "format": 1,
        "name": "tiny",
        "version": "1.2.3",
        "cameras": [{"name": "front", "width": 16, "height": 16, "encoding": "rgb8"}],
        "joints": list(JOINTS),
        "horizon": HORIZON,
        "step_dt": 0.05,
        "tokenizer": {"file": "tokenizer.json", "max_length": LENGTH},
        "features": {"tokens": 1, "width": 3},
        "tolerance": {"atol": 1e-4},
        "files": files,
    }
    values.update(changes)
    (folder / "bundle.yaml").write_text(yaml.safe_dump(values))


@pytest.fixture
def ramp():
    return (np.arange(1, HORIZON + 1)[:, None] * np.array([0.01, -0.02, 0.0])).astype(np.float32)


@pytest.fixture
def bundle_folder(tmp_path, ramp):
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    folder = tmp_path / "tiny"
    folder.mkdir()
    make_vision(folder / "vision.onnx")
    make_policy(folder / "policy.onnx", ramp)
    words = {w: i for i, w in enumerate(["[PAD]", "[UNK]", "reach", "the", "red", "cube"])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    image = np.full((16, 16, 3), 7, dtype=np.uint8)
    joints = np.array([0.1, 0.2, 0.03], dtype=np.float32)
    zeros = np.zeros((HORIZON, 3), dtype=np.float32)
    np.savez(
        folder / "golden.npz",
        image_front=image,
        tokens_0=np.zeros((1, LENGTH), np.int64),
        joints_0=joints[None],
        noise_0=zeros[None],
        prev_chunk_0=zeros[None],
        prev_weights_0=np.zeros((1, HORIZON), np.float32),
        features_0=np.full((1, 1, 3), 7.0, np.float32),
        chunk_0=(joints + ramp)[None],
    )
    write_manifest(folder)
    return folder


@pytest.fixture
def parameters():
    limit = {
        "has_position_limits": True,
        "min_position": -1.0,
        "max_position": 1.0,
        "has_velocity_limits": True,
        "max_velocity": 1.0,
        "has_acceleration_limits": True,
        "max_acceleration": 5.0,
    }
    return {
        "robot": {"name": "r", "joints": list(JOINTS), "grippers": ["grip"]},
        "joint_limits": {name: dict(limit) for name in JOINTS},
        "cameras": {"names": ["front"], "front": {"topic": "/c", "width": 16, "height": 16}},
        "model": {"bundle": "tiny"},
        "kinematics": {"enabled": False},
    }


@pytest.fixture
def robot(parameters):
    return from_parameters(parameters, "robot.yaml")
