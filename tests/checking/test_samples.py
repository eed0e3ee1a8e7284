"""Samples for one input or several, from files or arrays: what fits is split, the rest is told in one line."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from r2b_edge.checking.samples import read_npy, read_samples, split_samples
from r2b_edge.errors import InputError


@dataclass
class Type:
    shape: tuple[int, ...]


@dataclass
class Graph:
    """What split_samples asks a graph: an image [1, 3, 4, 4] and a signal [1, 2, 5], which the graph holds in 4-D."""

    inputs: list[str] = field(default_factory=lambda: ["image", "signal"])
    own_shapes: dict[str, tuple[int, ...]] = field(
        default_factory=lambda: {"image": (1, 3, 4, 4), "signal": (1, 2, 5)}
    )

    uint8_inputs: frozenset[str] = frozenset()

    def type(self, name: str) -> Type:
        return Type({"image": (1, 3, 4, 4), "signal": (1, 2, 1, 5)}[name])


def arrays(count: int = 3) -> dict[str, Any]:
    random = np.random.default_rng(0)
    return {
        "signal": random.normal(size=(count, 2, 5)).astype(np.float32),
        "image": random.integers(0, 255, (count, 3, 4, 4)).astype(np.uint8),
    }


def split(samples: Any, graph: Graph | None = None) -> list[dict[str, Any]]:
    return split_samples(samples, graph or Graph())  # type: ignore[arg-type]


def test_an_archive_by_name(tmp_path: Path) -> None:
    given, path = arrays(), tmp_path / "x.npz"
    np.savez(path, **given)
    samples = split(read_samples(path))
    assert len(samples) == 3
    for index, sample in enumerate(samples):
        assert list(sample) == ["image", "signal"]  # in the graph's order
        assert sample["image"].dtype == sample["signal"].dtype == np.float32
        np.testing.assert_array_equal(sample["image"], given["image"][index][None])
        np.testing.assert_array_equal(sample["signal"], given["signal"][index].reshape(1, 2, 1, 5))


def test_arrays_are_taken_as_they_are() -> None:
    given = arrays()
    assert read_samples(given) is given
    assert read_samples(given["image"]) is given["image"]
    one = Graph(["image"])
    assert len(split(given["image"], one)) == 3
    assert len(split({"image": given["image"]}, one)) == 3


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (
            arrays()["image"],
            "has 2 inputs, and the samples are one array; .* by name: image, signal",
        ),
        (
            {"image": arrays()["image"], "sound": arrays()["signal"]},
            r"are for \(image, sound\), and the model's inputs are \(image, signal\)",
        ),
        ({"image": arrays()["image"]}, r"are for \(image\)"),
        (arrays() | {"image": arrays(2)["image"]}, "the inputs have 2 and 3 samples"),
        (arrays() | {"image": np.float32(1)}, "the inputs have 0 and 3 samples"),
        (arrays(0), "samples of image have shape"),
        (arrays() | {"signal": np.ones((3, 2, 6), np.float32)}, r"signal have shape \[3, 2, 6\]; "),
        (arrays() | {"signal": np.ones((3, 2, 5))}, "samples of signal are float64"),
        (
            arrays() | {"signal": np.full((3, 2, 5), np.nan, np.float32)},
            "samples of signal hold NaN",
        ),
    ],
)
def test_what_does_not_fit(samples: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        split(samples)


def test_files_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    with pytest.raises(InputError, match="cannot read"):
        read_samples(path)
    path.write_bytes(b"hello")
    with pytest.raises(InputError, match=r"not a \.npy file"):
        read_samples(path)
    np.savez(path, x=np.asarray([{"a": 1}], object))
    with pytest.raises(InputError, match=r"damaged \.npz archive, or not one of numbers"):
        read_samples(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", b"\x93NUMPY\x01\x00")
    with pytest.raises(InputError, match=r"damaged \.npz archive"):
        read_samples(path)
    np.savez(path, x=np.zeros(1000))
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InputError, match=r"not a \.npy file|damaged"):
        read_samples(path)


def test_labels_are_one_array(tmp_path: Path) -> None:
    np.savez(tmp_path / "y.npz", y=np.zeros(3, int))
    with pytest.raises(InputError, match="is an archive; save one array"):
        read_npy(tmp_path / "y.npz")
