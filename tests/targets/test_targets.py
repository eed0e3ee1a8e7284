from __future__ import annotations

import pytest

from r2b_edge import targets
from r2b_edge.errors import InputError
from r2b_edge.exporters.c.kernels import REGISTRY

RPI4 = {
    "name": '"x"',
    "title": '"X"',
    "arch": '"aarch64"',
    "core": '"cortex-a72"',
    "os": '"linux"',
    "triple": '"aarch64-linux-gnu"',
    "flags": '["-mcpu=cortex-a72"]',
    "families": '["portable"]',
}


def toml(**changed: str) -> str:
    return "\n".join(f"{key} = {value}" for key, value in (RPI4 | changed).items())


@pytest.mark.parametrize("name", targets.names())
def test_every_shipped_target_is_valid(name: str) -> None:
    target = targets.load(name)
    assert target.name == name
    assert target.families[-1] == "portable"  # the fallback that covers every op
    assert set(target.families) <= {kernel.family for kernel in REGISTRY}
    if target.arch != "native":
        assert target.emulator is not None
        assert f"-mcpu={target.core}" in target.flags
        assert target.emulator.stand_in or target.core in target.emulator.argv


def test_the_promised_targets_are_shipped() -> None:
    assert {"host", "rpi3", "rpi4", "rpi5", "rpi-zero-2w"} <= set(targets.names())


def test_the_base_of_the_refusals_below_is_accepted() -> None:
    assert targets.parse(toml(), "x").core == "cortex-a72"


@pytest.mark.parametrize(
    ("changed", "where"),
    [
        ({"colour": '"red"'}, "colour"),
        ({"families": '["Neon!"]'}, "families"),
        ({"families": "[]"}, "families"),
        ({"clock_hz": '"15"'}, "clock_hz"),
        ({"clock_hz": "0"}, "clock_hz"),
        ({"triple": '"x; rm -rf"'}, "triple"),
        ({"triple": '""'}, "triple"),
        ({"core": '"a\\n"'}, "core"),
        ({"name": '"y"'}, "names itself"),
        ({"arch": '"z80"'}, "arch"),
        ({"emulator": '{argv = ["qemu", "$(id)"]}'}, "emulator.argv"),
        ({"emulator": "{argv = []}"}, "emulator.argv"),
        ({"emulator": '{argv = ["qemu-aarch64", "-cpu", "cortex-a53"]}'}, "stand_in"),
        (
            {"emulator": '{argv = ["qemu-aarch64", "-cpu", "cortex-a72"], stand_in = true}'},
            "stand_in",
        ),
        ({"memory": '[{name = "ram", bytes = -1, use = ["data"]}]'}, "memory.0.bytes"),
        ({"memory": '[{name = "ram", bytes = 1, use = ["wine"]}]'}, "memory.0.use"),
    ],
)
def test_a_wrong_file_is_refused_by_key(changed: dict[str, str], where: str) -> None:
    with pytest.raises(InputError, match=r"target file x\.toml") as caught:
        targets.parse(toml(**changed), "x")
    assert where in str(caught.value)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"colour": '"red"'}, "colour: unknown key"),
        ({"clock_hz": '"15"'}, 'clock_hz: "15" is not a whole number'),
        ({"clock_hz": "0"}, "clock_hz: 0 is not above 0"),
        ({"families": "[]"}, "families: the list is empty"),
        ({"families": '"portable"'}, 'families: "portable" is not a list'),
        ({"arch": '"z80"'}, "arch: \"z80\" is none of 'native', 'aarch64'"),
        ({"emulator": "3"}, "emulator: 3 is not a table"),
        ({"title": "3"}, "title: 3 is not a text"),
        ({"core": '"a b"'}, 'core: "a b" has not the form ^[a-z0-9][a-z0-9_-]*$'),
        (
            {"memory": '[{name = "ram", bytes = 1, origin = -3, use = ["data"]}]'},
            "memory.0.origin: -3 is below 0",
        ),
        ({"memory": '[{name = "ram", use = ["data"]}]'}, "memory.0.bytes: the key is missing"),
    ],
)
def test_a_fault_is_told_in_the_words_of_toml(changed: dict[str, str], said: str) -> None:
    with pytest.raises(InputError) as caught:
        targets.parse(toml(**changed), "x")
    assert str(caught.value) == f"target file x.toml: {said}"


@pytest.mark.parametrize(
    "flag",
    [
        "-mcpu=a b",
        "-fx;y",
        '-fx"y',
        "-O3\\n",
        "-I/tmp",
        "-Wl,-x",
        "x",
        "-DA=1",
        "-f$(id)",
        "-f`id`",
        "-f\\\\",
    ],
)
def test_only_plain_code_generation_flags_pass(flag: str) -> None:
    with pytest.raises(InputError, match="flags"):
        targets.parse(toml(flags=f"""['{flag}']""" if '"' in flag else f'["{flag}"]'), "x")


def test_no_toml() -> None:
    with pytest.raises(InputError, match=r"x\.toml is not TOML"):
        targets.parse("name = ", "x")


@pytest.mark.parametrize(
    ("typed", "offered"),
    [("rpi-4", "rpi4"), ("RPi 4", "rpi4"), ("rpi_zero_2w", "rpi-zero-2w"), ("hots", "host")],
)
def test_an_unknown_name_offers_the_nearest(typed: str, offered: str) -> None:
    with pytest.raises(InputError, match="unknown target") as caught:
        targets.load(typed)
    assert f"did you mean {offered}" in str(caught.value)
    assert "`r2b-edge targets`" in str(caught.value)


@pytest.mark.parametrize("typed", ["", "../targets/rpi4", "qqqqqqqq", "rpi4\n"])
def test_a_name_never_becomes_a_path(typed: str) -> None:
    with pytest.raises(InputError, match="unknown target"):
        targets.load(typed)
