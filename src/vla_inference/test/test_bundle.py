"""Bundles that must be refused, each with a message that says what and what is allowed."""

import numpy as np
import pytest
from conftest import write_manifest

from vla_common.core.errors import ConfigError
from vla_common.core.robot import from_parameters
from vla_inference.core.backend import open_backend
from vla_inference.core.bundle import check_robot, find, load
from vla_inference.core.golden import self_test


def test_good_bundle_loads_and_passes_its_self_test(bundle_folder, robot):
    bundle = load(bundle_folder)
    check_robot(bundle, robot)
    backend = open_backend(bundle, robot.model)
    result = self_test(bundle, backend)
    assert result.chunk_error < 1e-6
    assert bundle.model_id == "tiny@1.2.3"
    assert (backend.name, backend.precision) == ("onnxruntime", "fp32")


def test_a_changed_file_is_refused_by_its_hash(bundle_folder):
    with (bundle_folder / "policy.onnx").open("ab") as stream:
        stream.write(b"x")
    with pytest.raises(ConfigError, match=r"policy\.onnx.*damaged or was changed"):
        load(bundle_folder)


def test_a_missing_file_is_refused(bundle_folder):
    (bundle_folder / "vision.onnx").unlink()
    with pytest.raises(ConfigError, match=r"vision\.onnx.*missing"):
        load(bundle_folder)


def test_a_file_outside_the_folder_is_refused(bundle_folder, tmp_path):
    (tmp_path / "evil").write_bytes(b"")
    write_manifest(bundle_folder)
    text = (bundle_folder / "bundle.yaml").read_text()
    (bundle_folder / "bundle.yaml").write_text(text.replace("files:", "files:\n  ../evil: x"))
    with pytest.raises(ConfigError, match="own folder"):
        load(bundle_folder)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": 2}, "format"),
        ({"horizon": 0}, "horizon.*>= 1"),
        ({"step_dt": float("nan")}, "step_dt.*finite"),
        ({"joints": "abc"}, "joints.*list"),
        ({"colour": 1}, "colour.*unknown key"),
        ({"cameras": []}, "cameras.*at least one"),
        ({"files": {}}, r"files\.vision\.onnx.*required"),
        ({"tokenizer": {"max_length": 0}}, "max_length"),
    ],
)
def test_manifest_mistakes_are_refused(bundle_folder, changes, words):
    write_manifest(bundle_folder, **changes)
    with pytest.raises(ConfigError, match=words):
        load(bundle_folder)


def test_unreadable_manifest_is_refused(bundle_folder):
    (bundle_folder / "bundle.yaml").write_text("a: [")
    with pytest.raises(ConfigError, match="valid YAML"):
        load(bundle_folder)


def test_unknown_bundle_says_where_it_looked(tmp_path):
    with pytest.raises(ConfigError, match=r"looked in.*nowhere"):
        find("nowhere", (tmp_path,))
    with pytest.raises(ConfigError, match="looked in"):
        find("../../etc", (tmp_path,))


def test_bundle_is_found_by_name(bundle_folder):
    assert find("tiny", (bundle_folder.parent,)) == bundle_folder.resolve()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"joints": ["b", "a", "grip"]}, "in this order"),
        ({"joints": ["a", "b"]}, "in this order"),
        ({"cameras": [{"name": "top", "width": 16, "height": 16, "encoding": "rgb8"}]}, "front"),
        ({"cameras": [{"name": "front", "width": 32, "height": 32, "encoding": "rgb8"}]}, "32x32"),
    ],
)
def test_bundle_for_another_robot_is_refused(bundle_folder, robot, changes, words):
    write_manifest(bundle_folder, **changes)
    with pytest.raises(ConfigError, match=words):
        check_robot(load(bundle_folder), robot)


def test_golden_outputs_that_differ_are_refused(bundle_folder, robot):
    with np.load(bundle_folder / "golden.npz") as archive:
        golden = dict(archive)
    golden["chunk_0"] = golden["chunk_0"] + 0.01
    np.savez(bundle_folder / "golden.npz", **golden)
    write_manifest(bundle_folder)
    bundle = load(bundle_folder)
    with pytest.raises(ConfigError, match="golden chunk"):
        self_test(bundle, open_backend(bundle, robot.model))


def test_unknown_backend_is_refused(parameters):
    parameters["model"]["backend"] = "magic"
    with pytest.raises(ConfigError, match="onnxruntime"):
        from_parameters(parameters, "robot.yaml")


def test_graph_of_other_inputs_is_refused(bundle_folder, robot):
    (bundle_folder / "policy.onnx").write_bytes((bundle_folder / "vision.onnx").read_bytes())
    write_manifest(bundle_folder)
    with pytest.raises(ConfigError, match="exactly features"):
        open_backend(load(bundle_folder), robot.model)
