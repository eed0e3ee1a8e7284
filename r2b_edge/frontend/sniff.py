"""Which form a model file has, told by its content; its name is never asked.

The file comes from a stranger: nothing here runs any of it, and nothing here imports torch or onnx.
"""

from __future__ import annotations

import io
import pickletools
from enum import Enum
from pathlib import Path
from typing import BinaryIO

from r2b_edge.errors import InputError
from r2b_edge.frontend.archive import inspect_zip, read_member, strip_root
from r2b_edge.wording import printable

SAVE_HINT = 'make a file with r2b_edge.save(model, example_inputs, "model.pt2")'

_LEGACY_TORCH_MAGIC = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
# (offset, bytes, what it is): files that some other tool wrote.
_FOREIGN = (
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file (Keras weights or model)"),
    (4, b"TFL3", "a TensorFlow Lite model"),
    (4, b"ORTM", "an onnxruntime .ort model"),
    (4, b"ET12", "an ExecuTorch program"),
    (0, b"GGUF", "a GGUF file"),
    (0, b"\x7fELF", "a compiled program"),
    (257, b"ustar", "a tar archive (also what PyTorch wrote before 0.2): unpack it first"),
    (0, b"\x1f\x8b", "compressed by gzip: unpack it first"),
    (0, b"BZh", "compressed by bzip2: unpack it first"),
    (0, b"\xfd7zXZ\0", "compressed by xz: unpack it first"),
    (0, b"\x28\xb5\x2f\xfd", "compressed by zstd: unpack it first"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive: unpack it first"),
    (0, b"Rar!", "a rar archive: unpack it first"),
    (0, b"\x93NUMPY", "a numpy array"),
    (
        0,
        b"version https://git-lfs.github.com",
        "a git-lfs pointer, not the file itself (git lfs pull)",
    ),
)
# A state_dict's pickle names nothing but these (torch.load(weights_only=True) allows the same).
_TENSOR_GLOBALS = ("collections OrderedDict", "torch._utils _rebuild_", "torch._tensor _rebuild_")
_PICKLE_HEAD_BYTES = 64 << 20
_MODEL_SUFFIXES = (".pt", ".pth", ".pt2", ".ckpt", ".onnx", ".safetensors")


class Form(Enum):
    """A form of model file that the front end accepts."""

    PT2 = "pt2"
    TORCHSCRIPT = "torchscript"
    ONNX = "onnx"
    STATE_DICT = "state_dict"
    SAFETENSORS = "safetensors"
    PICKLE = "pickle"


def sniff(path: Path, allow_pickle: bool = False) -> Form:
    """The form of a model file.

    Args:
        path: of the file.
        allow_pickle: whether `Form.PICKLE`, which runs code when it is loaded, is accepted.

    Raises:
        InputError: not a readable file, damaged, or of a form that is not accepted: the message
            names the form found and how to make an acceptable file.
    """
    if path.is_dir():
        what = (
            "a TensorFlow SavedModel folder" if (path / "saved_model.pb").exists() else "a folder"
        )
        raise InputError(f"{path} is {what}, not a model file", SAVE_HINT)
    try:
        with path.open("rb") as file:
            return _sniff_open(path, file, allow_pickle)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error


def _sniff_open(path: Path, file: BinaryIO, allow_pickle: bool) -> Form:
    head = file.read(4096)
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    if not head:
        raise InputError(f"{path} is empty", SAVE_HINT)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _sniff_zip(path, file, allow_pickle)
    for offset, magic, what in _FOREIGN:
        if head[offset:].startswith(magic):
            raise InputError(f"{path} is {what}", SAVE_HINT)
    if head.startswith(_LEGACY_TORCH_MAGIC):
        return _sniff_pickle(path, file, 3, allow_pickle)
    if head[0] == 0x80 and head[1] in (2, 3, 4, 5):
        raise InputError(
            f"{path} is a Python pickle, not by torch.save, which could run code when loaded",
            SAVE_HINT,
        )
    if _is_safetensors(head, size):
        return Form.SAFETENSORS
    if _is_onnx(head):
        return Form.ONNX
    if head.lstrip()[:5].lower() in (b"<!doc", b"<html"):
        raise InputError(
            f"{path} is a web page, most likely what came in the place of a download", SAVE_HINT
        )
    if _is_text(head):
        raise InputError(f"{path} is a plain text file", SAVE_HINT)
    raise InputError(f"{path} is not a model file of a known form", SAVE_HINT)


def _sniff_zip(path: Path, file: BinaryIO, allow_pickle: bool) -> Form:
    with inspect_zip(path, file) as archive:
        names = strip_root(archive.namelist())
        if "archive_format" in names:
            return Form.PT2
        if "serialized_exported_program.json" in names:
            raise InputError(
                f"{path} is a torch.export archive of an older PyTorch (before 2.8)",
                "load and save it again with torch.export in PyTorch 2.8 or newer",
            )
        if "constants.pkl" in names or any(name.startswith("code/") for name in names):
            return Form.TORCHSCRIPT
        if "data.pkl" in names:
            pickle = read_member(archive, names["data.pkl"], _PICKLE_HEAD_BYTES, path)
            return _sniff_pickle(path, io.BytesIO(pickle), 0, allow_pickle)
        if "model.weights.h5" in names:
            raise InputError(f"{path} is a Keras model", SAVE_HINT)
        if names and all(name.endswith(".npy") for name in names):
            raise InputError(f"{path} is a numpy .npz archive", SAVE_HINT)
        inner = [name for name in names if name.endswith(_MODEL_SUFFIXES)]
        if inner:
            raise InputError(
                f"{path} is a zip archive of {printable(inner[0], 80)}: unpack it first", SAVE_HINT
            )
    raise InputError(f"{path} is a zip archive that holds no model", SAVE_HINT)


def _sniff_pickle(path: Path, file: BinaryIO, skip: int, allow_pickle: bool) -> Form:
    """A torch.save file: a state_dict names tensor helpers only; all else runs code when loaded.

    `skip` pickles come before the object's own (an old file's magic number, protocol, platform).
    The pickle is only read opcode by opcode, never executed.
    """
    foreign: str | None = None
    try:
        for _ in range(skip):
            for _opcode in pickletools.genops(file):
                pass
        strings: list[str] = []
        for opcode, argument, _ in pickletools.genops(file):
            if isinstance(argument, str) and opcode.name != "GLOBAL":
                strings = [*strings[-1:], argument]
            name = None
            if opcode.name in ("GLOBAL", "INST"):
                name = str(argument)
            elif opcode.name == "STACK_GLOBAL":
                name = " ".join(strings)
            if name is not None and foreign is None and not _is_tensor_global(name):
                foreign = name
    except Exception as error:  # pickletools raises what it likes on damaged bytes
        raise InputError(f"{path} is a damaged torch.save file", SAVE_HINT) from error
    if foreign is not None and allow_pickle:
        return Form.PICKLE
    if foreign is not None:
        what = printable(foreign.replace(" ", ".", 1), 80)
        raise InputError(
            f"{path} is a pickled Python object ({what}), which could run code when loaded",
            f"{SAVE_HINT}, or load it with --allow-pickle if you trust whoever made it",
        )
    return Form.STATE_DICT


def _is_tensor_global(name: str) -> bool:
    module, _, attribute = name.partition(" ")
    if module == "torch.storage":
        return attribute.endswith("Storage")
    return module == "torch" or name.startswith(_TENSOR_GLOBALS)


def _is_safetensors(head: bytes, size: int) -> bool:
    """8 bytes of little-endian header length, then a JSON object."""
    return len(head) > 9 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") < size


def _is_onnx(head: bytes) -> bool:
    """A protobuf whose first fields are those of an onnx ModelProto, truncated or not.

    Field 1 (ir_version) is a varint there; in TensorFlow's GraphDef and SavedModel it is not, or is
    followed by other fields.
    """
    lengths = {2, 3, 4, 6, 7, 8, 14, 20, 25, 26}
    varints = {1, 5}
    position, seen = 0, 0
    while position < len(head):
        field, kind = head[position] >> 3, head[position] & 7
        position += 1
        if head[position - 1] & 0x80:  # a two-byte tag: fields 16 to 2047
            if position >= len(head):
                break
            field = (field & 0xF) | (head[position] << 4)
            position += 1
        if not ((kind == 0 and field in varints) or (kind == 2 and field in lengths)):
            return False
        value, shift = 0, 0
        while position < len(head):
            byte = head[position]
            position += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                break
        if field == 1 and not 1 <= value <= 1000:
            return False
        if kind == 2:
            position += value
        seen |= 1 << field
    return bool(seen & (1 << 1)) and bool(seen & ((1 << 7) | (1 << 8) | (1 << 2)))


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 4:  # a character cut off at the end of the head is no fault
            return False
        text = head[: error.start].decode("utf-8")
    return all(character.isprintable() or character in "\r\n\t\f" for character in text)
