"""Runs a TFLite file with LiteRT and XNNPACK, and calls getppid around each inference; run by benchmarks.litert.

    python litert_invoke.py MODEL.tflite INPUT.npy OUTPUT.npy RUNS

It runs in another processor's Python, under QEMU, so it imports numpy and LiteRT alone.
"""

import os
import sys

import numpy as np
from ai_edge_litert.interpreter import Interpreter

model, given, found, runs = sys.argv[1:]
interpreter = Interpreter(model, num_threads=1)
interpreter.allocate_tensors()
(taken,), (made,) = interpreter.get_input_details(), interpreter.get_output_details()
interpreter.set_tensor(taken["index"], np.load(given))
interpreter.invoke()  # what happens at the first time only is not counted
for _ in range(int(runs)):
    os.getppid()
    interpreter.invoke()
os.getppid()
np.save(found, interpreter.get_tensor(made["index"]))
