"""The graph to a TFLite flatbuffer with Larq Compute Engine ops.

    convert.convert(graph) -> model.TfliteModel

To add an op: one emitter in an emit_*.py, under `@emits(TheOp)`; a new built-in operator version also needs
its line in versions.py. Nothing here imports tensorflow.
"""
