"""Vet a TorchScript archive: before torch reads it, and again before anything of it runs. It imports torch.

TorchScript is a language of its own, and not a harmless one (tried with torch 2.13). `torch.save` in it writes any file
with `aten::save`, and `aten::from_file` maps one. A class's `__setstate__` runs while the archive is being loaded,
and hooks run with forward. And torch believes a pickle that calls a storage larger than its record, so that a tensor
shows the memory behind it. So:

1. before loading, the pickles may name and claim only what is listed here, and no class may have a `__setstate__`;
2. after loading, when nothing has run yet, every operator that can be reached must be on the lists below.
"""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from r2b_edge.errors import InputError, UnsupportedError
from r2b_edge.frontend.pt2_guard import UNCHECKED
from r2b_edge.frontend.sniff import SAVE_HINT
from r2b_edge.frontend.text import printable, reason

# The interpreter's own operators: constants, containers, control flow, properties of tensors.
_PRIM = frozenset(
    (
        "Constant", "ConstantChunk", "DictConstruct", "EnumName", "EnumValue", "GetAttr", "If", "ListConstruct",
        "ListUnpack", "Loop", "NumToTensor", "Print", "RaiseException", "TupleConstruct", "TupleIndex",
        "TupleSlice", "TupleUnpack", "Uninitialized", "abs", "data", "device", "dtype", "index", "is_cpu",
        "is_cuda", "is_meta", "is_mkldnn", "is_nested", "is_quantized", "is_sparse", "isinstance", "itemsize",
        "layout", "max", "min", "nbytes", "rangelist", "requires_grad", "tolist", "type", "unchecked_cast",
        "unchecked_unwrap_optional",
    )
)  # fmt: skip
# Operators on numbers, strings and lists, which the dispatcher does not know. Left out are those that write files, wait
# for threads, or speak to other processes.
_ATEN = frozenset(
    (
        "Bool", "BoolImplicit", "Complex", "Delete", "Float", "FloatImplicit", "Int", "IntImplicit",
        "ScalarImplicit", "Size", "__contains__", "__derive_index", "__getitem__", "__interpolate", "__is__",
        "__isnot__", "__not__", "__range_length", "__round_to_zero_floordiv", "__upsample",
        "__upsample_bilinear", "__upsample_nearest", "_get_tracing_state", "_infer_size", "_list_to_tensor",
        "_set_item", "_size_if_not_equal", "_tensor_to_list", "_unwrap_optional", "append", "as_tensor",
        "broadcast_shapes", "clear", "copy", "count", "cpu", "device", "dict", "divmod", "element_size",
        "endswith", "extend", "fabs", "find", "floordiv", "format", "get", "has_torch_function", "insert",
        "is_grad_enabled", "is_scripting", "items", "join", "keys", "len", "list", "lower", "mathremainder",
        "modf", "ord", "percentFormat", "pop", "replace", "reverse", "set_grad_enabled", "sorted", "split",
        "startswith", "str", "strip", "tensor", "update", "upper", "values", "warn",
    )
)  # fmt: skip
_KERNELS = frozenset(name.partition(".")[0] for name in torch._C._dispatch_get_all_op_names())
_STORAGES = torch.storage._storage_type_to_dtype_map()
_SETSTATE = b"__setstate__"
_TABLES = ("data.pkl", "constants.pkl")


def vet_archive(path: Path) -> None:
    """Vet through torch's own zip reader, so that the bytes vetted are the bytes loaded.

    Raises:
        InputError: damaged, of an old format, or it could do more than hold a network.
    """
    try:
        reader = torch._C.PyTorchFileReader(str(path))
        names = reader.get_all_records()
        for name in _TABLES:
            if name not in names:
                raise InputError(f"{path} is no TorchScript archive: it holds no {name}", SAVE_HINT)
        if "model.json" in names:  # PyTorch before 1.4: its code may lie in files of any name
            raise InputError(f"{path} is a TorchScript archive of a very old PyTorch", SAVE_HINT)
        sizes: dict[str, int] = {}
        for name in names:
            record = reader.get_record(name)
            sizes[name] = len(record)
            if _SETSTATE in record:
                raise InputError(
                    f"{path} is refused: its {printable(name, 60)} has __setstate__, which runs code when loaded",
                    SAVE_HINT,
                )
        for name in _TABLES:
            _vet_pickle(path, name, reader.get_record(name), sizes)
    except RuntimeError as error:
        raise InputError(f"{path} is a damaged archive: {reason(error)}", SAVE_HINT) from error


def _vet_pickle(path: Path, name: str, data: bytes, sizes: dict[str, int]) -> None:
    looked = _Pickle(data)
    try:
        looked.load()
        claims = [
            (f"{name.removesuffix('.pkl')}/{key}", kind.itemsize * count)
            for _, kind, key, _, count in looked.storages
        ]
    except InputError as error:
        raise InputError(f"{path} is refused: {error.message}", SAVE_HINT) from error
    except Exception as error:  # the unpickler raises what it likes on damaged bytes
        raise InputError(f"{path} is damaged: {name}: {reason(error)}", SAVE_HINT) from error
    for record, size in claims:
        if not 0 <= size <= sizes.get(record, 0):
            raise InputError(
                f"{path} is refused: its {name} claims {size} bytes of {printable(record, 60)}, which holds "
                f"{sizes.get(record, 0)}",
                SAVE_HINT,
            )


class _StandIn:
    """Takes the place of every object that a pickle makes: it is made of anything, and does nothing."""

    def __init__(self, *_: Any) -> None: ...

    def __setstate__(self, _: Any) -> None: ...


class _Pickle(pickle.Unpickler):
    """Reads a pickle of an archive, without making any of its objects."""

    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data))
        self.storages: list[Any] = []

    def find_class(self, module: str, name: str) -> Any:
        """A stand-in.

        Raises:
            InputError: a name that no plain network has: objects of C++, sparse tensors, which nothing checks.
        """
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        plain = (
            (module == "__torch__" or module.startswith("__torch__."))
            and not f"{module}.".startswith("__torch__.torch.classes.")
        ) or module == "torch.jit._pickle"
        if plain or (module, name) in (("torch._utils", "_rebuild_tensor_v2"), ("torch", "device")):
            return _StandIn
        raise InputError(
            f"it holds an object of {printable(f'{module}.{name}', 80)}, which could run code when loaded"
        )

    def persistent_load(self, pid: Any) -> None:
        """Note a storage: ("storage", its dtype, its record, its device, how many numbers)."""
        self.storages.append(pid)


def vet_operators(path: Path, module: Any) -> None:
    """Vet what a module can run: its forward and its hooks.

    Raises:
        InputError: it could do more than compute.
        UnsupportedError: it calls an operator of a library.
    """
    for graph in _graphs(module):
        for node in _nodes(graph):
            _vet_operator(path, node)


def _vet_operator(path: Path, node: Any) -> None:
    kind = node.kind()
    namespace, _, name = kind.partition("::")
    if namespace == "prim" and name in _PRIM:
        return
    if namespace == "aten":
        schema = torch._C.parse_schema(node.schema()) if node.schema() != "(no schema)" else None
        files = schema is not None and any(a.name == "filename" for a in schema.arguments)
        known = name in _ATEN or kind in _KERNELS
        if known and not files and not name.startswith(UNCHECKED):
            return
    if namespace in ("aten", "prim"):
        raise InputError(
            f"{path} is refused: it calls {printable(kind, 60)}, which does more than compute",
            SAVE_HINT,
        )
    raise UnsupportedError(
        f"{path}: the model uses the operator {printable(kind, 60)}, which is not one of PyTorch's own",
        "write it with PyTorch's own operators in the model that you save",
    )


def _graphs(module: Any) -> Iterator[Any]:
    """Of forward and of every hook, which forward's own graph does not show."""
    yield module.inlined_graph
    for part in module.modules():
        for hook in (*part._c._get_forward_hooks(), *part._c._get_forward_pre_hooks()):
            yield hook.inlined_graph


def _nodes(block: Any) -> Iterator[Any]:
    """Every node of a graph and of the blocks within it."""
    for node in block.nodes():
        yield node
        for inner in node.blocks():
            yield from _nodes(inner)
