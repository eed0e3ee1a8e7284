"""Hypothesis strategies that draw specs: units as networks have them, with all that may vary, and now and then none."""

from __future__ import annotations

from hypothesis import strategies as st

from . import spec
from .functions import FUNCTIONS
from .signs import ESTIMATORS, FORMS

often, seldom = (
    st.sampled_from([True, True, True, False]),
    st.sampled_from([False, False, False, True]),
)
rarely = st.integers(0, 15).map(lambda n: n == 15)
channels = st.one_of(
    st.integers(1, 12), st.integers(1, 70), st.sampled_from([8, 16, 24, 31, 32, 33, 63, 64, 65])
)
few_channels = st.integers(1, 12)
sizes = st.one_of(st.integers(1, 9), st.sampled_from([1, 2, 8, 13]))
back = st.integers(0, 6)


@st.composite
def geometry(draw: st.DrawFn, largest: int = 7) -> dict[str, spec.Pair | spec.Pads]:
    """Mostly what networks have: square, odd, padded so that the map keeps its size."""
    if draw(often):
        k = draw(st.sampled_from([k for k in (1, 3, 3, 3, 5, 7) if k <= largest]))
        d = draw(st.sampled_from([1, 1, 1, 2])) if k == 3 else 1
        s = draw(st.sampled_from([1, 1, 1, 2]))
        p = draw(st.sampled_from([k // 2 * d, k // 2 * d, 0]))
        return {"kernel": (k, k), "strides": (s, s), "dilations": (d, d), "pads": (p, p, p, p)}
    side = st.integers(1, largest)
    pad = st.integers(0, 3)
    return {
        "kernel": draw(st.tuples(side, side)),
        "strides": draw(st.tuples(st.integers(1, 3), st.integers(1, 3))),
        "dilations": draw(st.tuples(st.integers(1, 3), st.integers(1, 3))),
        "pads": draw(st.tuples(pad, pad, pad, pad)),
    }


groups = st.sampled_from([1, 1, 1, 1, 0, 2, 3, 4])


@st.composite
def binary(draw: st.DrawFn, width: int | None = None) -> spec.Binary:
    return spec.Binary(
        **draw(geometry()),  # type: ignore[arg-type]
        channels=draw(channels) if width is None else width,
        groups=draw(groups),
        sign=draw(st.sampled_from(sorted(FORMS))),
        estimator=draw(st.sampled_from(["", "", "", *sorted(ESTIMATORS)])),
        shift=draw(st.booleans()),
        gain=draw(st.sampled_from([1.0, 1.0, 1.0, 0.5, 0.75])),
        pool=draw(rarely),
        border=draw(st.sampled_from([0.0, 0.0, 0.0, -1.0, 1.0, 0.5])),
        pad_node=draw(seldom),
        alpha=draw(st.sampled_from(["", "weights", "mul", "shared"])),
        dead=draw(rarely),
        bias=draw(seldom),
    )


@st.composite
def float_conv(draw: st.DrawFn) -> spec.Float:
    return spec.Float(
        **draw(geometry(largest=5)),  # type: ignore[arg-type]
        channels=draw(few_channels),
        groups=draw(groups),
        bias=draw(st.booleans()),
    )


@st.composite
def pool(draw: st.DrawFn) -> spec.Pool:
    kind = draw(st.sampled_from(["MaxPool", "AveragePool"]))
    drawn = draw(geometry(largest=3))
    if draw(often):
        drawn = {"kernel": (2, 2), "strides": (2, 2)}
    if kind == "AveragePool":
        drawn["dilations"] = (1, 1)  # pads, too, since a window must not lie in the border alone
    elif drawn.get("dilations", (1, 1)) != (1, 1):
        drawn["pads"] = (0, 0, 0, 0)
    return spec.Pool(**drawn, kind=kind, count=draw(st.booleans()), ceil=draw(seldom))  # type: ignore[arg-type]


norm = st.builds(spec.Norm, zeros=seldom)
affine = st.builds(
    spec.Affine,
    kind=st.sampled_from(["Add", "Sub", "from", "Mul", "Div"]),
    shared=seldom,
    places=seldom,
)
activation = st.builds(
    spec.Activation,
    kind=st.sampled_from(["PRelu", "PRelu", "PRelu", "Relu", "Relu", *sorted(FUNCTIONS)]),
    shared=seldom,
)
gate = st.builds(spec.Gate, back=back, hidden=st.integers(0, 4), conv=st.booleans(), scaled=seldom)
skip = st.builds(
    spec.Skip,
    kind=st.sampled_from(["Add", "Add", "Add", "Add", "Mul", "Sub", "Max", "Min"]),
    back=st.integers(1, 6),
    project=st.booleans(),
)
concat = st.builds(spec.Concat, back=st.integers(1, 6), before=st.booleans())
slice_ = st.builds(
    spec.Slice,
    start=st.integers(0, 40),
    count=st.integers(1, 40),
    step=st.sampled_from([1, 1, 1, 2, 3]),
    split=st.booleans(),
)
border = st.builds(
    spec.Border,
    pads=st.tuples(*[st.integers(-1, 2)] * 4),
    mode=st.sampled_from(["constant", "reflect", "edge"]),
    value=st.sampled_from([0.0, 1.0, -0.5]),
)
anything = st.one_of(
    norm, affine, activation, gate, skip, pool(), float_conv(), concat, slice_, border,
    st.builds(spec.Shuffle, groups=st.integers(2, 4)),
    st.builds(spec.Output, head=st.booleans()), st.builds(spec.Input),
)  # fmt: skip


@st.composite
def unit(draw: st.DrawFn, width: int | None) -> list[spec.Block]:
    """A binary convolution with what stands around it in Bi-Real, ReActNet, Real-to-Binary and the like."""
    around: list[spec.Block] = []
    if draw(seldom):
        around.append(draw(norm))
    around.append(draw(binary(width)))
    for block in (norm, gate, activation, skip, anything):
        if draw(st.booleans()):
            around.append(draw(block))
    if draw(seldom):
        around.append(draw(skip))
    return around


@st.composite
def head(draw: st.DrawFn) -> list[spec.Block]:
    """Nothing, or from the map to a vector, and dense layers."""
    kind = draw(st.sampled_from(["none", "mean", "flat"]))
    if kind == "none":
        return []
    to_vector: spec.Block = spec.Mean(draw(st.sampled_from(["GlobalAveragePool", "ReduceMean"])))
    if kind == "flat":
        to_vector = spec.Flat(draw(few_channels), draw(st.booleans()))
    dense = st.one_of(
        st.builds(spec.Float, channels=few_channels, bias=st.booleans()),
        binary(), norm, affine, activation, skip, gate,
    )  # fmt: skip
    return [to_vector, *draw(st.lists(dense, max_size=3))]


@st.composite
def nets(draw: st.DrawFn) -> spec.Net:
    """Mostly of a map, now and then of a 1-D one or a vector; the seed is 0. A width for all units makes skips fit."""
    exact = draw(st.booleans())
    blocks: list[spec.Block] = []
    kind = draw(st.integers(0, 9))
    shape: tuple[int, ...]
    if kind == 9:
        shape = (draw(channels),)
    elif kind == 8:
        shape = (draw(channels), draw(st.integers(1, 24)))
    else:
        shape = (draw(channels), draw(sizes), draw(sizes))
        if draw(seldom):
            blocks.append(draw(float_conv()))
    width = draw(st.none() | channels)
    for _ in range(draw(st.integers(1, 3))):
        blocks += draw(unit(width))
    if draw(seldom):
        blocks.append(draw(pool()))
    blocks += draw(head())
    half, uint8, quantised = draw(seldom), draw(seldom), draw(seldom)
    return spec.Net(0, shape, exact, tuple(blocks), half, uint8, quantised)
