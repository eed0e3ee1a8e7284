"""The words of the report: titles of executors and parts, reasons, and what each kind of figure means."""

from __future__ import annotations

from r2b_edge.report.model import Part

EXECUTORS = {
    "graph": "Graph (numpy)",
    "tflite": "model.tflite (LCE)",
    "c": "C program",
}
PARTS = {
    "binary": "1-bit weights",
    "stem": "Stem",
    "gate": "Gates",
    "downsample": "Downsampling",
    "classifier": "Classifier",
    "norm": "Scales, BN, PReLU",
    "other": "Other",
}
DEFAULT_REASON: dict[Part, str] = {
    "stem": "reads the real-valued input",
    "binary": "no reason recorded",
    "gate": "a gate rescales channels by real factors",
    "downsample": "no sign before it",
    "classifier": "gives the real-valued outputs",
    "norm": "scales, BatchNorm and PReLU act on real values",
    "other": "no reason recorded",
}
MEANING = {
    "by sum": "added up from the sizes of the constants; exact, but no program was measured",
    "file": "the size of the file that was written",
    "linked": "the difference between two linked programs, with and without the model",
    "planned": "the arena that the generated code states, checked by its compiler",
    "painted stack": "deepest use of a stack that was filled with a pattern before one inference",
    "stack usage": "the compiler's own figure along the deepest chain of calls",
    "estimate": "worked out, not measured",
    "emulated": "counted or timed under an emulator: it compares programs, and is never a latency",
    "emulated instructions": "instructions retired under an emulator: exact, the same in every run,"
    " and not a time",
    "device": "measured on the board itself",
    "host": "measured on the machine that made this report, not on the target",
}
