"""The document and the terminal's text of an inspection."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pydantic
import pytest
from inspection_nets import cut, mixed
from rich.console import Console

from r2b_edge.inspection import Inspection, inspect, model, print_inspection

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "inspect.md"
PARTS: list[type[pydantic.BaseModel]] = [
    model.Inspection, model.Source, model.Samples, model.Window, model.Zeros, model.Becomes, model.Layer, model.Part,
    model.Unsupported, model.Totals,
]  # fmt: skip


@pytest.fixture(scope="module")
def nets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Inspection]:
    folder = tmp_path_factory.mktemp("nets")
    net, outputs = cut()
    return {
        "mixed": inspect(mixed().save(folder / "mixed.onnx")),
        "cut": inspect(net.save(folder / "cut.onnx", *outputs)),
    }


def shown(inspection: Inspection, width: int) -> str:
    out = io.StringIO()
    print_inspection(inspection, Console(file=out, width=width))
    return out.getvalue()


@pytest.mark.parametrize("name", ["mixed", "cut"])
def test_the_document_holds_all(name: str, nets: dict[str, Inspection]) -> None:
    text = nets[name].to_json()
    assert text.isascii()
    assert json.loads(text)["schema"] == 1
    assert Inspection.model_validate_json(text, strict=True) == nets[name]
    assert Inspection.model_validate_json(text, strict=True).to_json() == text


@pytest.mark.parametrize("part", PARTS)
def test_every_key_is_documented(part: type[pydantic.BaseModel]) -> None:
    text = DOCUMENT.read_text()
    for name, field in part.model_fields.items():
        assert f"`{field.alias or name}`" in text, name


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("name", ["mixed", "cut"])
def test_it_fits_the_terminal(name: str, width: int, nets: dict[str, Inspection]) -> None:
    text = shown(nets[name], width)
    assert max(len(line) for line in text.splitlines()) <= width
    for layer in nets[name].layers:
        assert layer.name in text  # none is so long that it must be cut
        for word in (layer.reason or "").split():
            assert word in text


def test_the_suspects_come_first(nets: dict[str, Inspection]) -> None:
    _, why = shown(nets["mixed"], 120).split("Why not binary")
    names = [name for name in ("ternary", "real", "one zero") if name in why]
    assert len(names) == 3
    first_plain = why.index("its input is real")
    assert why.count("probably meant to be binary") == 3
    assert why.rindex("probably meant to be binary") < first_plain


def test_it_says_whether_an_export_is_possible(nets: dict[str, Inspection]) -> None:
    assert "An export is possible" in shown(nets["mixed"], 80)
    assert "An export would be refused" in shown(nets["cut"], 80)
    assert "Det det: this op is not supported" in shown(nets["cut"], 80)


def test_awkward_names_do_no_harm(nets: dict[str, Inspection]) -> None:
    awkward = "\x1b[31m[red]\u202e\n" + "x" * 3000
    layers = tuple(
        layer.model_copy(update={"name": awkward, "reason": f"reads {awkward}"})
        for layer in nets["mixed"].layers
    )
    unsupported = (model.Unsupported(name=awkward, op=awkward, stage="graph", reason=awkward),)
    changed = nets["mixed"].model_copy(
        update={"layers": layers, "unsupported": unsupported, "notes": (awkward,)}
    )
    text = shown(changed, 80)
    assert all(character.isprintable() or character == "\n" for character in text)
    assert "[red]" in text  # printed, not obeyed
