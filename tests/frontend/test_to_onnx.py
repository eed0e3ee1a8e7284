"""From a model file to model.onnx through the child process, and what happens when that fails."""

from __future__ import annotations

import hashlib
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from frontend_nets import tiny

from r2b_edge.errors import InputError, UnsupportedError
from r2b_edge.frontend import Loaded, LoadOptions, TensorInfo, module_to_onnx, to_onnx

NETS = Path(__file__).parent / "frontend_nets.py"
SHAPE = ((1, 3, 8, 8),)
INPUT = TensorInfo("x", (1, 3, 8, 8), "float32")


def run(path: Path, x: torch.Tensor) -> torch.Tensor:
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(None, {"x": x.numpy()})[0])


def assert_same_as_torch(path: Path) -> None:
    net = tiny().eval()
    torch.manual_seed(1)
    for _ in range(8):
        x = torch.randn(1, 3, 8, 8)
        with torch.no_grad():
            torch.testing.assert_close(run(path, x), net(x), rtol=1e-4, atol=1e-5)


def test_pt2(tiny_pt2: Path, tiny_onnx: tuple[Path, Loaded]) -> None:
    path, loaded = tiny_onnx
    assert loaded.form == "pt2"
    assert loaded.sha256 == hashlib.sha256(tiny_pt2.read_bytes()).hexdigest()
    assert loaded.inputs == (INPUT,)
    assert [info.shape for info in loaded.outputs] == [(1, 5)]
    assert loaded.notes == []
    assert_same_as_torch(path)
    assert [item.name for item in path.parent.iterdir()] == ["model.onnx"]


def test_graph_keeps_what_the_next_stage_reads(tiny_onnx: tuple[Path, Loaded]) -> None:
    model = onnx.load(tiny_onnx[0])
    onnx.checker.check_model(model, full_check=True)
    ops = [node.op_type for node in model.graph.node]
    assert ops.count("BatchNormalization") == 2
    assert not set(ops) & {"Constant", "Identity", "Dropout", "Shape", "Expand", "CastLike", "Abs"}
    assert all(node.domain == "" for node in model.graph.node)
    weights = {
        tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer
    }
    convs = [node for node in model.graph.node if node.op_type == "Conv"]
    assert len(convs) == 3
    for node in convs[1:]:  # +-alpha per output channel, and no bias
        rows = np.abs(weights[node.input[1]]).reshape(8, -1)
        assert np.ptp(rows, axis=1).max() == 0
        assert len(node.input) == 2
    assert len(model.graph.value_info) >= len(ops) - 1  # every tensor has its shape


def test_no_path_of_the_author(tiny_onnx: tuple[Path, Loaded]) -> None:
    data = tiny_onnx[0].read_bytes()
    assert not re.search(rb"site-packages|\.py\b|/home/|/tmp/|/root/|/usr/|nets|pytorch", data)


def test_module_gives_the_same_bytes(tmp_path: Path, tiny_onnx: tuple[Path, Loaded]) -> None:
    net, out = tiny(), tmp_path / "model.onnx"
    loaded = module_to_onnx(net, torch.rand(1, 3, 8, 8), out)
    assert loaded.form == "nn.Module"
    assert net.training
    assert out.read_bytes() == tiny_onnx[0].read_bytes()
    assert [item.name for item in tmp_path.iterdir()] == ["model.onnx"]


def test_own_onnx_is_a_fixed_point(tmp_path: Path, tiny_onnx: tuple[Path, Loaded]) -> None:
    out = tmp_path / "again.onnx"
    loaded = to_onnx(tiny_onnx[0], out)
    assert loaded.form == "onnx"
    assert loaded.inputs == tiny_onnx[1].inputs
    assert loaded.outputs == tiny_onnx[1].outputs
    assert out.read_bytes() == tiny_onnx[0].read_bytes()


class TestStateDict:
    """A state_dict needs the network's code and the input's shape."""

    @pytest.fixture
    def weights(self, tmp_path: Path) -> Path:
        path = tmp_path / "weights.pt"
        torch.save({"epoch": 3, "state_dict": tiny().state_dict()}, path)
        return path

    def test_with_its_network(self, tmp_path: Path, weights: Path) -> None:
        out = tmp_path / "model.onnx"
        loaded = to_onnx(weights, out, LoadOptions(SHAPE, f"{NETS}:Tiny"))
        assert loaded.form == "state_dict"
        assert loaded.inputs == (INPUT,)
        assert loaded.notes == ["the state_dict was taken from the checkpoint's entry 'state_dict'"]
        assert_same_as_torch(out)

    def test_without_its_network_or_shape(self, tmp_path: Path, weights: Path) -> None:
        with pytest.raises(InputError, match=r"--model FILE\.py:CALLABLE.*r2b_edge\.save"):
            to_onnx(weights, tmp_path / "o", LoadOptions(SHAPE))
        with pytest.raises(InputError, match="--input-shape 1,3,32,32"):
            to_onnx(weights, tmp_path / "o", LoadOptions(None, f"{NETS}:Tiny"))
        with pytest.raises(InputError, match="sizes must be 1 or more"):
            to_onnx(weights, tmp_path / "o", LoadOptions(((1, 0),), f"{NETS}:Tiny"))
        with pytest.raises(
            InputError, match="--input-shape 1,100000000000000000000 is larger than"
        ):
            to_onnx(weights, tmp_path / "o", LoadOptions(((1, 10**20),), f"{NETS}:Tiny"))

    def load(self, path: Path, model: str, shape: tuple[int, ...] = SHAPE[0]) -> list[str]:
        """Without the child process: these are many."""
        from r2b_edge.frontend import networks

        notes: list[str] = []
        request = {"path": path, "form": "state_dict", "input_shape": [shape], "model": model}
        networks.load({**request, "source_dir": None}, notes)
        return notes

    def test_batch_of_the_given_shape(self, weights: Path) -> None:
        notes = self.load(weights, f"{NETS}:Tiny", (4, 3, 8, 8))
        assert notes[1] == "the batch axis of 4 was fixed to 1"

    def test_wrong_input_shape(self, weights: Path) -> None:
        with pytest.raises(
            InputError, match=r"input of 1x4x8x8: RuntimeError: .*4 channels"
        ) as caught:
            self.load(weights, f"{NETS}:Tiny", (1, 4, 8, 8))
        assert "\n" not in str(caught.value)

    def test_keys_that_do_not_fit(self, tmp_path: Path) -> None:
        state = tiny().state_dict()
        state["extra.weight"] = state.pop("fc.bias")
        torch.save(state, tmp_path / "w.pt")
        with pytest.raises(InputError, match=r"missing fc\.bias; unexpected extra\.weight"):
            self.load(tmp_path / "w.pt", f"{NETS}:Tiny")

    def test_shapes_that_do_not_fit(self, tmp_path: Path) -> None:
        state = tiny().state_dict()
        state["fc.bias"] = torch.zeros(7)
        torch.save(state, tmp_path / "w.pt")
        with pytest.raises(InputError, match=r"size mismatch for fc\.bias"):
            self.load(tmp_path / "w.pt", f"{NETS}:Tiny")

    def test_data_parallel_prefix(self, tmp_path: Path) -> None:
        state = {f"module.{key}": value for key, value in tiny().state_dict().items()}
        torch.save(state, tmp_path / "w.pt")
        assert "'module.'" in self.load(tmp_path / "w.pt", f"{NETS}:Tiny")[0]

    @pytest.mark.parametrize(
        ("model", "message"),
        [
            (f"{NETS}", "not FILE:CALLABLE"),
            (f"{NETS}:", "not FILE:CALLABLE"),
            (f"{NETS}:Nothing", "no callable Nothing"),
            (f"{NETS}:Unit", "failed: TypeError"),
            (f"{NETS.parent}/none.py:Net", "no file"),
            ("no_such_module_at_all:Net", "failed: ModuleNotFoundError"),
            ("builtins:dict", "returned a dict, not an nn.Module"),
            ("sys:exit", "failed: SystemExit"),
        ],
    )
    def test_networks_that_cannot_be_made(self, weights: Path, model: str, message: str) -> None:
        with pytest.raises(InputError, match=message):
            self.load(weights, model)

    def test_not_a_state_dict(self, tmp_path: Path) -> None:
        for content, what in (
            ([1, 2], "a list"),
            ({}, "a dict without entries"),
            (torch.ones(2), "a Tensor"),
        ):
            torch.save(content, tmp_path / "w.pt")
            with pytest.raises(InputError, match=f"is not a state_dict but {what};"):
                self.load(tmp_path / "w.pt", f"{NETS}:Tiny")


def test_options_that_do_not_belong(tmp_path: Path, tiny_pt2: Path) -> None:
    with pytest.raises(InputError, match="--model is for a state_dict"):
        to_onnx(tiny_pt2, tmp_path / "o", LoadOptions(model=f"{NETS}:Tiny"))
    with pytest.raises(InputError, match="cannot be written"):
        to_onnx(tiny_pt2, tmp_path / "none" / "model.onnx")


def test_input_shape_that_contradicts_the_archive(tmp_path: Path, tiny_pt2: Path) -> None:
    with pytest.raises(InputError, match="'x' is 1x3x8x8, and 1x3x16x16 does not fit it"):
        to_onnx(tiny_pt2, tmp_path / "model.onnx", LoadOptions(((1, 3, 16, 16),)))
    assert list(tmp_path.iterdir()) == []


class TestLimits:
    """The child is bounded, and whatever ends it, nothing of it stays."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        torch.save({"w": torch.zeros(1)}, tmp_path / "w.pt")
        return tmp_path

    def start(self, folder: Path, code: str, **limits: float) -> None:
        """Load w.pt with a network whose construction runs `code`."""
        (folder / "net.py").write_text(f"import os, time\nimport numpy\ndef net():\n    {code}\n")
        options = LoadOptions(((1, 1),), f"{folder}/net.py:net", **limits)
        to_onnx(folder / "w.pt", folder / "model.onnx", options)

    def left(self, folder: Path) -> set[str]:
        return {item.name for item in folder.iterdir()} - {"w.pt", "net.py", "__pycache__", "pid"}

    def test_time(self, folder: Path) -> None:
        with pytest.raises(InputError, match="took more than 8 s"):
            self.start(folder, "time.sleep(60)", time_limit_s=8)
        assert self.left(folder) == set()

    def test_memory(self, folder: Path) -> None:
        with pytest.raises(InputError, match="needs more than 1 GiB"):
            self.start(folder, "numpy.ones(1 << 28)", memory_limit_bytes=1 << 30)
        assert self.left(folder) == set()

    def test_crash(self, folder: Path) -> None:
        with pytest.raises(InputError, match="reader die with SIGSEGV: last words"):
            self.start(folder, "os.write(2, b'last words\\n'); os.kill(os.getpid(), 11)")
        assert self.left(folder) == set()

    @pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
    def test_ctrl_c_and_kill(self, folder: Path, how: signal.Signals) -> None:
        pid_file = folder / "pid"
        code = f"open({str(pid_file)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
        (folder / "net.py").write_text(f"import os, time\ndef net():\n    {code}\n")
        script = (
            "from pathlib import Path\n"
            "from r2b_edge.frontend import LoadOptions, to_onnx\n"
            f"options = LoadOptions(((1, 1),), {f'{folder}/net.py:net'!r})\n"
            f"to_onnx(Path({str(folder / 'w.pt')!r}), Path({str(folder / 'm.onnx')!r}), options)\n"
        )
        parent = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE)
        deadline = time.monotonic() + 60
        while not pid_file.exists() or not pid_file.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        parent.send_signal(how)
        _, stderr = parent.communicate(timeout=20)
        assert parent.returncode == -how
        assert is_gone(int(pid_file.read_text()))
        if how == signal.SIGINT:  # a killed parent cannot tidy up
            assert b"KeyboardInterrupt" in stderr
            assert self.left(folder) == set()


def is_gone(pid: int) -> bool:
    """Whether a process ended within five seconds, even if nobody has asked for its status."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.05)
    return False


def test_operator_without_a_translation(tmp_path: Path) -> None:
    class Net(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.linalg.eigvals(x).real

    with pytest.raises(UnsupportedError, match="linalg_eig") as caught:
        module_to_onnx(Net(), torch.rand(3, 3), tmp_path / "model.onnx")
    assert "\n" not in str(caught.value)
