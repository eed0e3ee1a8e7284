"""The typed report and its files: the contract's keys, round trips, and what is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from r2b_edge.errors import InputError
from r2b_edge.report import HTML_NAME, JSON_NAME, Memory, Report, Skipped, read, write

CONTRACT = {
    "": {"schema", "tool", "target", "model", "memory", "layers", "steps", "check", "speed"},
    "tool": {"name", "version"},
    "model": {
        "file", "sha256", "form", "inputs", "outputs", "binary_macs", "float_macs",
        "binary_weights", "float_weights",
    },
    "memory": {
        "float32_weight_bytes", "weight_bytes", "weight_saving", "tflite_bytes", "flash_bytes",
        "ram_bytes", "arena_bytes", "arena_bound_bytes", "stack_bytes", "float32_arena_bytes",
    },
    "layers": {
        "name", "kind", "binary", "macs", "weight_bytes", "output_shape", "steps",
        "instructions", "ns",
    },
    "steps": {"index", "kernel", "layer", "instructions", "ns", "exact"},
    "speed": {"kind", "device", "unit", "threads", "runs", "min", "median", "p95"},
}  # fmt: skip
EXECUTOR = {
    "steps", "steps_exact", "samples", "top1_agreement", "accuracy", "max_abs_error", "margin_ties",
}  # fmt: skip
EXTENSIONS = {
    "": {"target_core", "instructions", "build", "options", "notes"},
    "tool": set(),
    "model": set(),
    "memory": {"flash_kind", "ram_kind", "stack_kind"},
    "layers": {"float_bytes", "float32_bytes", "part", "reason", "suspect"},
    "steps": set(),
    "speed": set(),
}


def bare(example: Report) -> Report:
    """The report of an export without a compiler, before the first check."""
    data = as_json(example)
    for key, value in data["memory"].items():
        known = ("float32_weight_bytes", "weight_bytes", "weight_saving", "tflite_bytes")
        data["memory"][key] = value if key in known else None
    for layer in data["layers"]:
        layer["instructions"] = None
    for step in data["steps"]:
        step.update(instructions=None, exact=None)
    data.update(check=None, speed=[], instructions=None, build=None)
    return Report.model_validate(data)


def as_json(report: Report) -> Any:
    return json.loads(report.to_json())


@pytest.mark.parametrize("place", CONTRACT)
def test_keys_are_the_contract_and_the_stated_extensions(example: Report, place: str) -> None:
    data = as_json(example)
    part = data[place] if place else data
    part = part[0] if isinstance(part, list) else part
    assert set(part) == CONTRACT[place] | EXTENSIONS[place]


def test_check_has_the_contract_s_form(example: Report) -> None:
    check = as_json(example)["check"]
    assert list(check["executors"]) == ["graph", "tflite", "c"]
    for executor in check["executors"].values():
        assert set(executor) == EXECUTOR | {"tensors", "faults"}


def test_a_skipped_executor_is_only_its_reason(example: Report) -> None:
    assert example.check
    skipped = example.check.executors.model_copy(update={"tflite": Skipped(skipped="no wheel")})
    changed = example.revised(check={"executors": skipped})
    assert as_json(changed)["check"]["executors"]["tflite"] == {"skipped": "no wheel"}
    assert Report.model_validate_json(changed.to_json()) == changed


def test_unknown_is_null_and_schema_is_one(example: Report) -> None:
    data = as_json(bare(example))
    assert data["schema"] == 1
    assert data["check"] is None
    assert data["speed"] == []
    assert data["memory"]["flash_bytes"] is None
    assert data["steps"][0]["exact"] is None
    assert data["layers"][0]["ns"] is None


def test_round_trip_through_a_folder(example: Report, tmp_path: Path) -> None:
    for report in (example, bare(example)):
        write(report, tmp_path)
        assert read(tmp_path) == report
        assert read(tmp_path / JSON_NAME) == report
    assert sorted(file.name for file in tmp_path.iterdir()) == [HTML_NAME, JSON_NAME]
    assert (tmp_path / JSON_NAME).stat().st_mode & 0o400


def test_the_same_report_gives_the_same_bytes(example: Report, tmp_path: Path) -> None:
    again = Report.model_validate(as_json(example))
    contents = []
    for name, report in (("a", example), ("b", again)):
        (tmp_path / name).mkdir()
        write(report, tmp_path / name)
        contents.append([(tmp_path / name / file).read_bytes() for file in (JSON_NAME, HTML_NAME)])
    assert contents[0] == contents[1]
    assert contents[0][0].isascii()


def test_a_failed_write_leaves_what_was_there(
    example: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(bare(example), tmp_path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(InputError, match="No space left on device"):
        write(example, tmp_path)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


@pytest.mark.parametrize("folder", ["missing", "a-file"])
def test_a_folder_that_cannot_be_written(example: Report, tmp_path: Path, folder: str) -> None:
    (tmp_path / "a-file").write_text("")
    with pytest.raises(InputError, match=folder) as error:
        write(example, tmp_path / folder)
    assert "\n" not in str(error.value)


def test_damaged_and_foreign_files(example: Report, tmp_path: Path) -> None:
    good = example.to_json()
    newer = {**as_json(example), "schema": 2}
    negative = as_json(example)
    negative["memory"]["flash_bytes"] = -1
    cases = {
        good[: len(good) // 2]: "damaged",
        "": "damaged",
        good.replace('"binary": false', '"binary": "no"'): "layers.0.binary",
        "\x00\xff": "damaged",
        "[]": "not a report",
        '{"name": "some package"}': "not a report",
        "[" * 100_000: "damaged",
        json.dumps(newer): "schema 1",
        json.dumps(negative): "memory.flash_bytes",
        good.replace('"target": "rpi4"', '"target": 4'): "target",
        good.replace('"notes"', '"\\u001b[31mnotes"'): "not a report",
        good.replace('"weight_saving": ', '"weight_saving": 9'): "weight_saving",
    }
    for text, message in cases.items():
        file = tmp_path / JSON_NAME
        file.write_text(text, encoding="utf-8")
        with pytest.raises(InputError, match=re.escape(message)) as error:
            read(file)
        assert str(error.value).isprintable(), text[:80]
        assert JSON_NAME in str(error.value)


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read .*No such file"):
        read(tmp_path / "nowhere" / JSON_NAME)
    with pytest.raises(InputError, match="cannot read"):
        read(tmp_path)


def test_saving_is_filled_in_and_must_agree() -> None:
    assert Memory(float32_weight_bytes=3200, weight_bytes=100).weight_saving == 32.0
    assert Memory(float32_weight_bytes=3200).weight_saving is None
    with pytest.raises(ValidationError, match="weight_saving"):
        Memory(float32_weight_bytes=3200, weight_bytes=100, weight_saving=31.0)


def test_a_figure_needs_its_kind() -> None:
    with pytest.raises(ValidationError, match="flash_kind"):
        Memory(float32_weight_bytes=1, flash_bytes=100)
    with pytest.raises(ValidationError, match="stack_kind"):
        Memory(float32_weight_bytes=1, stack_kind="painted stack")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data["layers"][0].update(instructions=1), "not the sum of its steps"),
        (lambda data: data["layers"][1].update(steps=[0]), "another layer's step"),
        (lambda data: data["layers"][1].update(steps=[999]), "not there"),
        (lambda data: data["steps"][0].update(layer="nobody"), "unknown layer"),
        (lambda data: data["steps"][1].update(index=7), "numbered"),
        (lambda data: data["instructions"].update(overhead=0), "overhead"),
        (lambda data: data["layers"][0].update(float_bytes=10**9), "float bytes"),
        (lambda data: data["check"]["executors"]["c"].update(steps_exact=99), "exact steps"),
        (lambda data: data["check"]["executors"]["c"].update(top1_agreement=257), "agree"),
        (lambda data: data["check"]["executors"]["c"].update(accuracy=83.2), "accuracy"),
        (lambda data: data["model"].update(sha256="../../etc"), "sha256"),
        (lambda data: data.update(surprise=1), "surprise"),
    ],
)
def test_contradictions_are_refused(example: Report, change: Any, message: str) -> None:
    data = as_json(example)
    change(data)
    with pytest.raises(ValidationError, match=message):
        Report.model_validate(data)


def test_not_a_number_never_reaches_the_file(example: Report) -> None:
    data = as_json(example)
    data["check"]["executors"]["c"]["max_abs_error"] = float("nan")
    with pytest.raises(ValidationError):
        Report.model_validate(data)


def test_revised_is_validated_and_the_original_stays(example: Report) -> None:
    changed = example.revised(notes=["one", "two"])
    assert changed.notes == ("one", "two")
    assert example.notes != changed.notes
    with pytest.raises(ValidationError):
        example.revised(steps=[])
    with pytest.raises(ValidationError):
        example.notes = ()
