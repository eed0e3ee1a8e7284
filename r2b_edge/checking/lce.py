"""model.tflite in Larq Compute Engine's own interpreter, step by step and as a whole."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from r2b_edge.checking.executor import ExecutorStep, Values
from r2b_edge.errors import InputError, ToolMissingError
from r2b_edge.exporters.bits import pack, unpack
from r2b_edge.exporters.tflite.cut import Cutter
from r2b_edge.exporters.tflite.model import TfliteModel, TfliteTensor
from r2b_edge.graph.graph import Array

_MODULE = "larq_compute_engine.tflite.python.interpreter_wrapper_lite"
_NO_INTEGER = np.iinfo(np.int32).min


class LceExecutor:
    """Runs a TfliteModel; see r2b_edge.checking.executor.Executor.

    Interpreters show no intermediate tensors, so each step is cut out of the file and gets an interpreter of its own,
    made when it is first needed and kept.

    Args:
        model: what `convert` gave.
        data: the file to run in its place, which may be damaged; None: the model's own.
        reference_kernel: use LceBconv2d's reference kernel. It has zero padding for even numbers of channels only.
        indirect_kernel: use its indirect kernel.
        xnnpack: let XNNPACK run the float operators.

    Raises:
        ToolMissingError: LCE is not here, see `available`.
        InputError: `data` is no valid flatbuffer; later, from `run` and `run_step`: LCE cannot run it.
    """

    def __init__(
        self,
        model: TfliteModel,
        data: bytes | None = None,
        *,
        reference_kernel: bool = False,
        indirect_kernel: bool = False,
        xnnpack: bool = False,
    ) -> None:
        if reason := self.available():
            raise ToolMissingError(reason, "model.tflite is written, but cannot be checked here")
        self._model = model
        self._data = model.data if data is None else data
        _verify(self._data)
        self._cutter = Cutter(self._data)
        self._flags = {
            "reference_kernel": reference_kernel,
            "indirect_kernel": indirect_kernel,
            "xnnpack": xnnpack,
        }
        self._pieces: dict[int, Any] = {}
        self._whole: Any = None
        self.steps: Sequence[ExecutorStep] = tuple(
            ExecutorStep(step.nodes, step.inputs, step.outputs) for step in model.steps
        )

    @staticmethod
    def available() -> str | None:
        """None if LCE's interpreter can run here, else the reason."""
        if _library() is None:
            return (
                "larq-compute-engine is not installed (it has wheels for x86-64 Linux and for macOS, "
                "up to Python 3.12)"
            )
        if int(np.__version__.split(".")[0]) >= 2:
            return f"larq-compute-engine's interpreter needs numpy below 2, and this is {np.__version__}"
        return None

    def run_step(self, index: int, inputs: Values) -> Values:
        """Run one step alone.

        Args:
            index: position in `steps`.
            inputs: the step's inputs, as in the graph: NCHW, any batch, bits as +1 and -1.

        Returns:
            The step's outputs, likewise. An exact dot product that is no integer comes as the smallest int32.
        """
        step = self._model.steps[index]
        with self._blaming_the_file():
            if index not in self._pieces:
                data = self._cutter.cut(
                    step.operators,
                    [self._model.tensors[name].index for name in step.inputs],
                    [self._model.tensors[name].index for name in step.outputs],
                )
                self._pieces[index] = interpreter(data, **self._flags)
            return self._predict(self._pieces[index], step.inputs, step.outputs, inputs)

    def run(self, inputs: Values) -> Values:
        """Run the whole file: the graph's outputs from its inputs."""
        with self._blaming_the_file():
            if self._whole is None:
                self._whole = interpreter(self._data, **self._flags)
            return self._predict(self._whole, self._model.inputs, self._model.outputs, inputs)

    @contextmanager
    def _blaming_the_file(self) -> Iterator[None]:
        """What fails on a file other than the model's own is the file's fault."""
        try:
            yield
        except (RuntimeError, ValueError, LookupError) as error:
            if self._data == self._model.data:
                raise
            raise InputError(
                "model.tflite is damaged: LCE cannot run it", "export again"
            ) from error

    def _predict(
        self, interpreter: Any, inputs: Sequence[str], outputs: Sequence[str], values: Values
    ) -> Values:
        tensors = self._model.tensors
        stored = [store(tensors[name], values[name]) for name in inputs]
        batch = stored[0].shape[0]
        samples = [interpreter.predict([s[i : i + 1] for s in stored]) for i in range(batch)]
        return {
            name: load(tensors[name], np.concatenate([sample[k] for sample in samples]))
            for k, name in enumerate(outputs)
        }


def store(tensor: TfliteTensor, value: Array) -> Array:
    """A graph tensor's value as the file stores it: NHWC, float32, or packed bits in int32."""
    moved = value.transpose(0, 2, 3, 1) if value.ndim == 4 else value
    if tensor.dtype == "bits":
        return pack(np.ascontiguousarray(moved, dtype=np.int8))
    return np.ascontiguousarray(moved, dtype=np.float32)


def load(tensor: TfliteTensor, stored: Array) -> Array:
    """Undo `store`."""
    value = stored
    if tensor.dtype == "bits":
        value = unpack(stored.astype(np.int32), tensor.shape[1])
    elif tensor.dtype == "int32":
        whole = np.rint(stored)
        value = np.where(whole == stored, whole, _NO_INTEGER).astype(np.int32)
    return value.transpose(0, 3, 1, 2) if value.ndim == 4 else value


def _verify(data: bytes) -> None:
    """LCE trusts the file's offsets, and dies of a damaged one; LiteRT verifies them."""
    from ai_edge_litert.interpreter import Interpreter

    try:
        Interpreter(model_content=data)
    except ValueError as error:
        raise InputError("model.tflite is damaged: no valid flatbuffer", "export again") from error


def _library() -> Path | None:
    """The interpreter's extension module in an installed LCE."""
    package = importlib.util.find_spec("larq_compute_engine")
    for folder in (package and package.submodule_search_locations) or ():
        for path in sorted(Path(folder, "tflite", "python").glob("interpreter_wrapper_lite*.so")):
            return path
    return None


def interpreter(
    data: bytes,
    *,
    reference_kernel: bool = False,
    indirect_kernel: bool = False,
    xnnpack: bool = False,
) -> Any:
    """LCE's LiteInterpreter with one thread, whose errors go to stderr and come as a bare RuntimeError.

    `import larq_compute_engine` imports its converter and so all of tensorflow (4 to 10 s); the extension module
    alone needs neither. It goes by its full name, so that a later import of the package shares it: a second copy
    would register its types twice.
    """
    if _MODULE not in sys.modules:
        path = _library()
        assert path is not None
        loader = importlib.machinery.ExtensionFileLoader(_MODULE, str(path))
        spec = importlib.util.spec_from_file_location(_MODULE, path, loader=loader)
        assert spec is not None
        module = importlib.util.module_from_spec(spec)
        loader.exec_module(module)
        sys.modules[_MODULE] = module
    threads = 1
    return sys.modules[_MODULE].LiteInterpreter(
        data, threads, reference_kernel, indirect_kernel, xnnpack
    )
