"""Vet a torch.export archive before torch reads it.

`torch.export.load` trusts its file in more places than its pickles, and each may run code:

1. pickled tensors: bound by TORCH_FORCE_WEIGHTS_ONLY_LOAD=1, which the child process sets;
2. custom and opaque constants (`custom_obj_*`, `opaque_obj_*`): unpickled without that bound;
3. size expressions: handed to sympy.sympify, which is eval();
4. names of values: pasted into the Python source that torch.fx generates and executes;
5. operators: any attribute path under torch may be called, with the file's own arguments;
6. container specifications: may import any module and name any factory;
7. guards: pasted into generated source (emptied after loading, see `pt2.py`);
8. compiled code (`data/aotinductor`): a shared library.

So everything is allowed by list, and a file that holds anything else is refused. No torch in here.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterable
from typing import Any

from r2b_edge.errors import InputError, UnsupportedError

_MEMBER = re.compile(
    r"archive_format|archive_version|byteorder|\.format_version|\.storage_alignment"
    r"|\.data/(serialization_id|version)|models/model\.json|data/sample_inputs/model\.pt|extra/.*"
    r"|data/(weights/(weight_\d+|model_weights_config\.json)"
    r"|constants/(tensor_\d+|model_constants_config\.json))"
)
_NAME = re.compile(r"[\w.@\-]*", re.ASCII)
_PAYLOAD = re.compile(r"(weight|tensor)_\d+", re.ASCII)
_SYMBOL = re.compile(r"z?[su]\d+", re.ASCII)
_OPERATOR = re.compile(
    r"torch\.ops\.(aten|prims)\.\w+\.\w+"
    r"|_operator\.(add|sub|mul|floordiv|truediv|mod|neg|pow|eq|ne|lt|le|gt|ge|getitem|and_|or_)"
    r"|torch\.(sym_(int|float|max|min|not|ite|sum)|_sym_sqrt)"
    r"|torch\.ops\.higher_order\.(wrap_with_set_grad_enabled|wrap_with_autocast)",
    re.ASCII,
)
# Operators that believe their arguments: tensors of theirs show and change memory beside their own (tried).
UNCHECKED = ("_sparse_", "_reshape_alias")
_SYMPY = frozenset(
    (
        "FloorDiv", "ModularIndexing", "Where", "PythonMod", "Mod", "CleanDiv", "CeilToInt",
        "FloorToInt", "CeilDiv", "LShift", "RShift", "PowByNatural", "FloatPow", "FloatTrueDiv",
        "IntTrueDiv", "TruncToFloat", "TruncToInt", "RoundToInt", "RoundDecimal", "ToFloat",
        "Identity", "Symbol", "Integer", "Float", "Rational", "Add", "Mul", "Pow", "Max", "Min",
        "Eq", "Ne", "Lt", "Le", "Gt", "Ge", "And", "Or", "Not",
    )
)  # fmt: skip
_ASSUMPTIONS = frozenset(("integer", "positive", "nonnegative", "negative", "nonzero", "real"))
_CONTAINERS = frozenset(
    (
        None,
        "builtins.tuple",
        "builtins.list",
        "builtins.dict",
        "collections.OrderedDict",
        "torch.fx.immutable_collections.immutable_list",
        "torch.fx.immutable_collections.immutable_dict",
    )
)
_EXPRESSION_NODES = (
    ast.Expression, ast.BinOp, ast.UnaryOp, ast.Compare, ast.Constant, ast.Name, ast.Call, ast.Load,
    ast.operator, ast.unaryop, ast.cmpop,
)  # fmt: skip
# Free text that torch stores or prints but never executes.
_TEXT_KEYS = frozenset(("metadata", "as_string", "as_strings", "torch_version"))
_EMPTY_KEYS = frozenset(("as_custom_obj", "as_operator", "as_opaque", "custom_obj"))


def vet_members(names: Iterable[str]) -> None:
    """Check the archive's member names (without its root folder).

    Raises:
        InputError: a member that a plain torch.export archive does not have.
    """
    for name in names:
        if _MEMBER.fullmatch(name):
            continue
        if name.startswith("data/aotinductor/"):
            raise InputError("it holds compiled code", "save the model with r2b_edge.save")
        if name.startswith("data/constants/"):
            raise InputError(
                f"it holds a constant that is not a tensor ({name[15:75]!a}), which could run "
                "code when loaded",
                "save the model with r2b_edge.save",
            )
        raise InputError(f"it holds {name[:60]!a}, which no torch.export archive has")


def vet_payloads(text: bytes) -> None:
    """Check a weights or constants table.

    Raises:
        InputError: an entry that is not a tensor, or is not on the CPU.
    """
    table = _parse(text)
    entries = table.get("config") if isinstance(table, dict) else None
    if not isinstance(entries, dict):
        raise InputError("its table of weights is damaged")
    for entry in entries.values():
        path = entry.get("path_name") if isinstance(entry, dict) else None
        if not isinstance(path, str) or not _PAYLOAD.fullmatch(path):
            raise InputError(f"it names a weight file {str(path)[:60]!a}")
    _walk(table, "")


def vet_program(text: bytes) -> str:
    """Check the serialized program.

    Returns:
        the PyTorch version that wrote it, for messages.

    Raises:
        InputError: damaged, or holding something that could run code.
        UnsupportedError: an operator that is not PyTorch's own.
    """
    program = _parse(text)
    if not isinstance(program, dict) or not isinstance(program.get("graph_module"), dict):
        raise InputError("its program is damaged")
    guards = program.pop("guards_code", [])
    if not isinstance(guards, list):
        raise InputError("its program is damaged")
    _walk(program, "")
    version = program.get("torch_version")
    return version[:40] if isinstance(version, str) and version.isprintable() else "unknown"


def _parse(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"its JSON is damaged: {error}") from error


def _walk(value: Any, key: str) -> None:
    """Check every string of a JSON tree by the key it stands under."""
    stack: list[tuple[Any, str]] = [(value, key)]
    while stack:
        value, key = stack.pop()
        if value is None:
            continue
        if key in _EMPTY_KEYS:
            raise InputError(
                f"it holds a {key.removeprefix('as_')}, which could run code when loaded"
            )
        if key in _TEXT_KEYS:
            continue
        if isinstance(value, dict):
            for name, child in value.items():
                _vet_name(name)
                stack.append((child, name))
        elif isinstance(value, list):
            stack.extend((child, key) for child in value)
        elif isinstance(value, str):
            _VETTERS.get(key, _vet_name)(value)


def _vet_name(text: str) -> None:
    if not _NAME.fullmatch(text):
        raise InputError(f"it holds the name {text[:60]!a}, which could run code when loaded")


def _vet_operator(text: str) -> None:
    if _OPERATOR.fullmatch(text):
        if text.startswith("torch.ops.") and text.split(".")[3].startswith(UNCHECKED):
            raise InputError(f"it calls {text[10:70]}, which does not check its arguments")
        return
    if re.fullmatch(r"torch\.ops\.\w+(\.\w+)*", text, re.ASCII):
        raise UnsupportedError(
            f"the model uses the operator {text[10:70]}, which is not one of PyTorch's own",
            "write it with PyTorch's own operators in the model that you save",
        )
    raise InputError(f"it calls {text[:60]!a}, which is no tensor operator")


def _vet_expression(text: str) -> None:
    """A size, as sympy.srepr writes it: calls of known functions on symbols and numbers only."""
    try:
        nodes = list(ast.walk(ast.parse(text, mode="eval")))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise InputError(f"it holds the size {text[:60]!a}, which is no expression") from error
    if not all(_is_plain(node) for node in nodes):
        raise InputError(f"it holds the size {text[:60]!a}, which could run code when loaded")


def _is_plain(node: ast.AST) -> bool:
    if isinstance(node, ast.Name):
        return bool(_SYMBOL.fullmatch(node.id)) or node.id in _SYMPY
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id in _SYMPY
    if isinstance(node, ast.keyword):
        return node.arg in _ASSUMPTIONS and isinstance(node.value, ast.Constant)
    if isinstance(node, ast.Constant):
        text = node.value
        return isinstance(text, int | float) or (
            isinstance(text, str) and bool(_SYMBOL.fullmatch(text))
        )
    return isinstance(node, _EXPRESSION_NODES)


def _vet_container(text: str) -> None:
    """A pytree specification: JSON of [protocol, {"type", "context", "children_spec"}]."""
    spec = _parse(text.encode())
    stack = [spec[1]] if isinstance(spec, list) and len(spec) == 2 else [None]
    while stack:
        node = stack.pop()
        if not isinstance(node, dict) or node.get("type") not in _CONTAINERS:
            raise InputError(f"its inputs or outputs are packed in {text[:80]!a}")
        context = node.get("context")
        if isinstance(context, str) and "__enum__" in context:
            raise InputError(f"its inputs or outputs are packed in {text[:80]!a}")
        children = node.get("children_spec")
        stack.extend(children if isinstance(children, list) else [None])


def _vet_device(text: str) -> None:
    _vet_name(text)
    if text in ("cuda", "mps", "xpu", "npu", "hpu", "meta"):
        raise InputError(f"the model was saved on {text}", "call model.cpu() before saving it")


_VETTERS: dict[str, Callable[[str], None]] = {
    "target": _vet_operator,
    "expr_str": _vet_expression,
    "in_spec": _vet_container,
    "out_spec": _vet_container,
    "type": _vet_device,
}
