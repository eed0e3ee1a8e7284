"""A made-up, realistic report: the C = 64 Real-to-Binary CIFAR-10 network on a Raspberry Pi 4."""

from __future__ import annotations

import pytest

from r2b_edge.report.model import (
    Build,
    Check,
    ExecutorCheck,
    Executors,
    Instructions,
    Layer,
    Memory,
    Model,
    Part,
    Report,
    Speed,
    Step,
    TensorCheck,
    TensorInfo,
    Tool,
)

IN_FLOAT = {
    "stem": "real input: the first layer sees pixels, not signs",
    "gate": "a gate rescales channels by real factors",
    "downsample": "real-valued 1x1 on the skip: no sign before it",
    "classifier": "last layer, real weights",
}


class Builder:
    """Collects layers and their steps with figures of a believable size."""

    def __init__(self) -> None:
        self.layers: list[Layer] = []
        self.steps: list[Step] = []

    def add(
        self,
        name: str,
        kind: str,
        part: Part,
        shape: tuple[int, ...],
        params: int,
        macs: int,
        kernels: dict[str, int],
        bits: int = 0,
    ) -> None:
        first = len(self.steps)
        for kernel, instructions in kernels.items():
            self.steps.append(
                Step(
                    index=len(self.steps),
                    kernel=kernel,
                    layer=name,
                    exact=True,
                    instructions=instructions,
                )
            )
        binary = part == "binary"
        self.layers.append(
            Layer(
                name=name,
                kind=kind,
                binary=binary,
                macs=macs,
                output_shape=shape,
                part=part,
                weight_bytes=bits // 8 + 4 * params,
                float_bytes=4 * params,
                float32_bytes=bits * 4 + 4 * (2 * params if binary else params),
                steps=tuple(range(first, len(self.steps))),
                instructions=sum(kernels.values()),
                reason=IN_FLOAT.get(part),
            )
        )

    def unit(self, name: str, c_in: int, c_out: int, side: int) -> None:
        area, shape = side * side, (1, c_out, side, side)
        if c_in != c_out:
            self.add(
                f"{name}.downsample",
                "FloatConv 1x1",
                "downsample",
                shape,
                c_in * c_out + 2 * c_out,
                area * c_in * c_out,
                {"avg_pool_2x2": area * c_in * 3, "conv_1x1_f32": area * c_in * c_out},
            )
        hidden = c_in // 8
        self.add(
            f"{name}.gate",
            "Gate",
            "gate",
            (1, c_out, 1, 1),
            hidden * (c_in + c_out) + hidden + c_out,
            hidden * (c_in + c_out),
            {"channel_mean": area * c_in, "dense_f32": hidden * (c_in + c_out) * 2},
        )
        self.add(
            f"{name}.conv",
            "BinaryConv 3x3",
            "binary",
            shape,
            5 * c_out,
            area * 9 * c_in * c_out,
            {"step_pack": area * c_in * 2, "bconv_3x3": area * 9 * c_in * c_out // 14},
            bits=9 * c_in * c_out,
        )


def checked(steps: int, ties: int = 0, **changes: object) -> ExecutorCheck:
    tensors = tuple(
        TensorCheck(
            step=i,
            tensor=f"val_{i}",
            rule="bits" if i % 3 else "floats",
            tolerance=1e-5,
            exact=True,
            max_abs_error=None if i % 3 else 2.4e-6,
            margin_ties=ties if i == 4 else 0,
        )
        for i in range(steps)
    )
    fields: dict[str, object] = {
        "steps": steps,
        "steps_exact": steps,
        "samples": 256,
        "top1_agreement": 256,
        "accuracy": 214 / 256,
        "max_abs_error": 3.8e-6,
        "margin_ties": ties,
        "tensors": tensors,
    }
    return ExecutorCheck.model_validate({**fields, **changes})


def build_example() -> Report:
    net = Builder()
    net.add(
        "stem",
        "FloatConv 3x3",
        "stem",
        (1, 64, 16, 16),
        1728 + 192,
        442_368,
        {"input_u8_to_f32": 9216, "conv_3x3_s2_f32": 1_105_920},
    )
    c_in = 64
    for stage, (c_out, side) in enumerate(((64, 16), (128, 8), (256, 4))):
        for unit in range(4):
            net.unit(f"stages.{stage}.{unit}", c_in, c_out, side)
            c_in = c_out
    net.add(
        "fc",
        "Dense",
        "classifier",
        (1, 10),
        2570,
        2560,
        {"channel_mean": 12_288, "dense_f32": 5_200},
    )
    counted = sum(step.instructions or 0 for step in net.steps)
    stored = sum(layer.weight_bytes or 0 for layer in net.layers)
    total = counted + 41_230
    counter = "qemu-aarch64 7.2.9, -cpu cortex-a72"
    return Report(
        tool=Tool(name="r2b-edge", version="0.1.0"),
        target="rpi4",
        target_core="cortex-a72",
        model=Model(
            file="r2b_cifar10.pt2",
            form="pt2",
            sha256="9f2c41" + "b7" * 29,
            inputs=(TensorInfo(name="image", shape=(1, 3, 32, 32), dtype="float32"),),
            outputs=(TensorInfo(name="logits", shape=(1, 10), dtype="float32"),),
            binary_macs=sum(layer.macs for layer in net.layers if layer.binary),
            float_macs=sum(layer.macs for layer in net.layers if not layer.binary),
            binary_weights=2_727_936,
            float_weights=128_210,
        ),
        memory=Memory(
            float32_weight_bytes=sum(layer.float32_bytes or 0 for layer in net.layers),
            weight_bytes=stored,
            tflite_bytes=stored + 21_312,
            flash_bytes=stored + 18_944,
            flash_kind="linked",
            ram_bytes=151_120,
            ram_kind="linked",
            arena_bytes=147_456,
            arena_bound_bytes=139_264,
            stack_bytes=2_640,
            stack_kind="painted stack",
            float32_arena_bytes=262_144,
        ),
        layers=tuple(net.layers),
        steps=tuple(net.steps),
        check=Check(
            executors=Executors(
                graph=checked(41),
                tflite=checked(39, max_abs_error=1.1e-5),
                c=checked(
                    len(net.steps),
                    top1_agreement=255,
                    accuracy=213 / 256,
                    ties=3,
                    max_abs_error=0.41,
                ),
            ),
            reference_accuracy=214 / 256,
        ),
        speed=(
            Speed(
                kind="emulated instructions",
                device=counter,
                unit="instructions",
                threads=1,
                runs=1,
                min=total,
                median=total,
                p95=total,
            ),
        ),
        instructions=Instructions(total=total, overhead=41_230, counter=counter),
        build=Build(
            compiler="aarch64-linux-gnu-gcc 12.2.0",
            flags=("-O2", "-mcpu=cortex-a72", "-std=c11", "-ffp-contract=off"),
        ),
        options={"float_storage": "fp32", "input_dtype": "float32"},
        notes=("the runtime uses the portable kernels only",),
    )


@pytest.fixture(scope="session")
def example() -> Report:
    return build_example()
