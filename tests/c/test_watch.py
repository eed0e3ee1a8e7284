"""The watch sees what it is for: writes and reads beside what a step may touch, and lives that end too early."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from r2b_edge.exporters.c import Program, ProgramStep
from r2b_edge.exporters.c.render import render

from . import harness
from .conftest import Programs
from .harness import TOOLCHAINS, Models, Target
from .nets import random_inputs
from .watch import KEPT, NAN, READ, WRITTEN, Region, encode, filled, regions, results


@pytest.fixture(scope="session")
def sanitized(
    programs: Programs,
    tmp_path_factory: pytest.TempPathFactory,
    require_tool: Callable[..., None],
) -> Models:
    """The guarded net alone, with AddressSanitizer."""
    require_tool(*TOOLCHAINS[0].tools)
    program = programs["net_guarded"][1]
    return Models([program], TOOLCHAINS[0], tmp_path_factory.mktemp("watch"))


@pytest.fixture
def net(programs: Programs) -> tuple[Program, bytes]:
    """The guarded net and its arena before step 0."""
    graph, program = programs["net_guarded"]
    return program, filled(program, program.inputs, random_inputs(graph, seed=4))


def steps_of(program: Program) -> list[list[Region]]:
    return [regions(program, step.index) for step in program.steps]


def run_all(models: Models, program: Program, arena: bytes, steps: list[list[Region]]) -> bytes:
    data = arena + encode(steps, NAN)
    (after,) = models.run([(program, 2, 0, len(program.steps) - 1, data)])
    return after


def made_in_place(step: ProgramStep) -> bool:
    """True if tiles are made where they are stored (r2b_epilogue_place), so that the kernel's workspace is not used."""
    kinds = [op.kind for op in step.epilogue if op.kind not in ("BITS", "MEAN")]
    return kinds[-1:] == ["STORE"] and step.kernel.startswith(
        ("fconv", "avgpool", "maxpool", "map")
    )


def used_works(step: ProgramStep) -> list[int]:
    """The offsets of the workspaces that the step writes to; a maker's follow the reader's tile and means."""
    own = 1 + sum(op.kind == "MEAN" for op in step.epilogue)
    unused = {0} if made_in_place(step) else set()
    if step.stream and made_in_place(step.stream.maker):
        unused.add(own)
    return [offset for i, (offset, _) in enumerate(step.works) if i not in unused]


def test_a_write_to_a_place_that_is_not_the_steps_is_seen(
    sanitized: Models, net: tuple[Program, bytes]
) -> None:
    """Every output and workspace of every step, declared as something to read."""
    program, arena = net
    for step in program.steps:
        own = [program.tensor[name].offset for name in step.outputs]
        for offset in [*own, *used_works(step)]:
            steps = steps_of(program)
            steps[step.index] = [
                (at, size, READ if at == offset and flags == WRITTEN else flags)
                for at, size, flags in steps[step.index]
            ]
            with pytest.raises(AssertionError, match=f"step {step.index} writes at"):
                run_all(sanitized, program, arena, steps)


@pytest.mark.parametrize("less", ["an element", "all"])
def test_an_access_beside_what_is_allowed_is_seen(
    less: str, sanitized: Models, net: tuple[Program, bytes]
) -> None:
    """Each input, output and workspace in turn is one element shorter, or missing: that is one element too far."""
    program, arena = net
    steps = steps_of(program)
    step = next(s for s in program.steps if s.kernel == "bconv_portable")
    own = steps[step.index]
    allowed = [i for i, (_, _, flags) in enumerate(own) if flags != KEPT]
    assert len(allowed) == len(step.inputs) + len(step.outputs) + len(step.works)
    for i in allowed:
        shorter = [list(s) for s in steps]
        offset, size, flags = own[i]
        if any(at == offset and k != i for k, (at, _, f) in enumerate(own) if f != KEPT):
            continue  # in place: the other one allows it
        shorter[step.index][i] = (offset, size - 4 if less == "an element" else 0, flags)
        with pytest.raises(AssertionError, match="use-after-poison"):
            run_all(sanitized, program, arena, shorter)


def test_a_life_that_ends_too_early_is_seen(sanitized: Models, net: tuple[Program, bytes]) -> None:
    """Each tensor in turn counts as dead in the step that reads it last, and changes the result or is caught."""
    program, arena = net
    right = results(program, run_all(sanitized, program, arena, steps_of(program)))
    last_read = {name: step.index for step in program.steps for name in step.inputs}
    for name, index in last_read.items():
        steps = steps_of(program)
        offset = program.tensor[name].offset
        steps[index] = [r for r in steps[index] if r[0] != offset or r[2] != KEPT]
        assert results(program, run_all(sanitized, program, arena, steps)) != right, name


# --- bugs in kernels ---

BUGS = {
    "a dense layer reads one value too far": (
        "r2b_dense_portable.c",
        "for (; i < count; i++) sum",
        "for (; i <= count; i++) sum",
    ),
    "a map is stored one value too far": (
        "r2b_epilogue.c",
        "if (t != m) memcpy(m, t, (size_t)(count * channels) * sizeof(float));",
        "memmove(m, t, (size_t)(count * channels) * sizeof(float)); m[count * channels] = 0;",
    ),
    "bits are stored one word too far": (
        "r2b_epilogue.c",
        "for (int32_t c = 0; c < channels; c += 32) words[c / 32] = ",
        "words[(channels + 31) / 32] = 0;\n    for (int32_t c = 0; c < channels; c += 32) words[c / 32] = ",
    ),
    "a mean clears more of its workspace than it has": (
        "r2b_epilogue.c",
        "memset(arena + r2b_row_sums(op, epilogue->channels, epilogue->task), 0, bytes);",
        "memset(arena + r2b_row_sums(op, epilogue->channels, epilogue->task), 0, bytes + 4);",
    ),
    "a convolution's tile is one value too long": (
        "r2b_fconv_loops.h",
        "tile[first + i] = sum[i];",
        "tile[first + i + 1] = tile[first + i] = sum[i];",
    ),
}


@pytest.mark.parametrize("bug", BUGS)
def test_a_kernel_that_goes_astray_is_seen(
    bug: str,
    net: tuple[Program, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    require_tool: Callable[..., None],
) -> None:
    require_tool(*TOOLCHAINS[0].tools)
    name, right, wrong = BUGS[bug]
    found = 0

    def rendered(program: Program, target: Target) -> Iterator[tuple[str, bytes]]:
        nonlocal found
        for path, content in render(program, target):
            if path == f"src/{name}":
                found = content.decode().count(right)
                yield path, content.decode().replace(right, wrong).encode()
            else:
                yield path, content

    monkeypatch.setattr(harness, "render", rendered)
    program, arena = net
    models = Models([program], TOOLCHAINS[0], tmp_path)
    assert found == 1
    with pytest.raises(AssertionError, match=r"use-after-poison|step \d+ writes at"):
        run_all(models, program, arena, steps_of(program))
