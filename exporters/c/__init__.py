"""The graph to a C11 project.

select (nodes to steps) | kernels (the registry) | stream (steps by rows) | negotiate (layouts) |
plan (arena) | pack (constants) | assemble and build (all of it into a frozen Program) | render (templates).
"""

from r2b_edge.exporters.c.build import Streams, Target, build_program, check_name
from r2b_edge.exporters.c.program import Program, ProgramStep, ProgramTensor
from r2b_edge.exporters.c.project import Platform
from r2b_edge.exporters.c.render import write

__all__ = [
    "Platform", "Program", "ProgramStep", "ProgramTensor", "Streams", "Target", "build_program", "check_name", "write",
]  # fmt: skip
