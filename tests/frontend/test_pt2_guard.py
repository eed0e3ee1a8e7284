"""What a torch.export archive may hold: honest archives pass, each way to run code is refused."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from frontend_nets import tiny

from r2b_edge.errors import InputError, UnsupportedError
from r2b_edge.frontend.pt2_guard import vet_members, vet_payloads, vet_program

EVIL = "__import__('os').mkdir('ran')"


def members(archive: zipfile.ZipFile) -> dict[str, bytes]:
    """Member names without the root folder, as torch's reader gives them."""
    return {name.split("/", 1)[1]: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def files(tiny_pt2: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(tiny_pt2) as archive:
        return members(archive)


@pytest.fixture
def program(files: dict[str, bytes]) -> Any:
    return json.loads(files["models/model.json"])


def vet(program: Any) -> str:
    return vet_program(json.dumps(program).encode())


def test_own_archive_passes(files: dict[str, bytes]) -> None:
    vet_members(files)
    vet_payloads(files["data/weights/model_weights_config.json"])
    vet_payloads(files["data/constants/model_constants_config.json"])
    assert vet_program(files["models/model.json"]) == torch.__version__


def test_plain_torch_archive_passes() -> None:
    """With stack traces, two open sizes, and arithmetic on them."""

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = tiny().stem

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
            with torch.no_grad():
                y = self.net(x)
            return y.reshape(x.shape[0], -1, 2), {"twice": torch.cat([x, x], dim=2)}

    sizes = {0: torch.export.Dim("b", max=64), 2: torch.export.Dim("h", min=4, max=64)}
    exported = torch.export.export(
        Net().eval(), (torch.rand(2, 3, 8, 8),), dynamic_shapes={"x": sizes}, strict=False
    )
    buffer = io.BytesIO()
    torch.export.save(exported, buffer)
    with zipfile.ZipFile(buffer) as archive:
        content = members(archive)
    vet_members(content)
    vet_program(content["models/model.json"])
    assert b"expr_str" in content["models/model.json"]  # so that the test shows something


@pytest.mark.parametrize(
    "name",
    [
        "data/aotinductor/model/x.so",
        "data/constants/opaque_obj_0",
        "data/constants/custom_obj_0",
        "models/other.json",
        "data/weights/../../x",
        "setup.py",
    ],
)
def test_members(name: str) -> None:
    with pytest.raises(InputError):
        vet_members(["archive_format", name])


@pytest.mark.parametrize("name", ["opaque_obj_0", "custom_obj_0", "../weight_0", "", None])
def test_payloads(name: str | None) -> None:
    table = {"config": {"w": {"path_name": name, "use_pickle": True}}}
    with pytest.raises(InputError, match="weight file"):
        vet_payloads(json.dumps(table).encode())


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"{}", b'{"config": 1}', b"[" * 100_000])
def test_damaged_json(text: bytes) -> None:
    with pytest.raises(InputError, match="damaged"):
        vet_payloads(text)
    with pytest.raises(InputError, match="damaged"):
        vet_program(text)


@pytest.mark.parametrize(
    "target",
    [
        "torch.load",
        "torch.hub.load",
        "torch.ops.aten",
        "torch.utils.cpp_extension.load_inline",
        "_operator.methodcaller",
        "#ext:op",
        "os.system",
        "torch.ops.aten.add.Tensor; x",
        "torch.ops.aten._sparse_coo_tensor_unsafe.default",
        "torch.ops.aten._reshape_alias_copy.default",
    ],
)
def test_calls_that_are_no_tensor_operators(program: Any, target: str) -> None:
    program["graph_module"]["graph"]["nodes"][0]["target"] = target
    with pytest.raises((InputError, UnsupportedError)):
        vet(program)


def test_custom_operator_is_unsupported(program: Any) -> None:
    program["graph_module"]["graph"]["nodes"][0]["target"] = "torch.ops.mylib.popcount.default"
    with pytest.raises(UnsupportedError, match=r"mylib\.popcount"):
        vet(program)


@pytest.mark.parametrize(
    "expression",
    [
        EVIL,
        "().__class__",
        "Symbol('x y')",
        f"Symbol({EVIL!r})",
        "Integer(open('x'))",
        "[s0 for s0 in (1,)]",
        "lambda: 1",
        "Symbol('s0', cls=1)",
        "s0 +",
        "(" * 5000,
    ],
)
def test_sizes_that_are_code(program: Any, expression: str) -> None:
    program["graph_module"]["graph"]["tensor_values"]["x"]["sizes"][0] = {
        "as_expr": {"expr_str": expression, "hint": None}
    }
    with pytest.raises(InputError, match="size"):
        vet(program)


def test_names_become_source_text(program: Any) -> None:
    graph = program["graph_module"]["graph"]
    graph["nodes"][0]["name"] = f"x):\n    {EVIL}\n    return (x"
    with pytest.raises(InputError, match="name"):
        vet(program)


def test_keys_become_source_text(program: Any) -> None:
    program["graph_module"]["graph"]["tensor_values"][f"x={EVIL}"] = None
    with pytest.raises(InputError, match="name"):
        vet(program)


@pytest.mark.parametrize(
    "spec",
    [
        '[1, {"type": "collections.defaultdict", "context": "{}", "children_spec": []}]',
        '[1, {"type": "builtins.dict", "context": "{\\"__enum__\\": 1}", "children_spec": []}]',
        '[1, {"type": "builtins.tuple", "context": "null", "children_spec": [1]}]',
        '[1, {"type": "builtins.tuple", "context": "null"}]',
        "[1]",
    ],
)
def test_containers(program: Any, spec: str) -> None:
    program["graph_module"]["module_call_graph"][0]["signature"]["in_spec"] = spec
    with pytest.raises(InputError, match="packed"):
        vet(program)


def test_custom_objects(program: Any) -> None:
    argument = {"as_custom_obj": {"name": "x", "class_fqn": "y"}}
    program["graph_module"]["graph"]["nodes"][0]["inputs"][0]["arg"] = argument
    with pytest.raises(InputError, match="custom_obj"):
        vet(program)


def test_saved_on_a_gpu(program: Any) -> None:
    program["graph_module"]["graph"]["tensor_values"]["x"]["device"]["type"] = "cuda"
    with pytest.raises(InputError, match=r"model\.cpu\(\)"):
        vet(program)
