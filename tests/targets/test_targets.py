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


EMULATOR = '{argv = ["qemu-system-arm", "-cpu", "cortex-m4"], transport = "semihosting"'
UART = '{driver = "stm32_v1", base = 0x4001_1000, clock_hz = 16_000_000, baud = 115_200, tx = "PA9", rx = "PA10"'
BOARD = '{transport = "uart:usart1", cycles = "dwt", clock_hz = 16_000_000, '
BARE = {
    "name": '"x"',
    "title": '"X"',
    "arch": '"arm"',
    "core": '"cortex-m4"',
    "fpu": '"fpv4-sp-d16"',
    "os": '"none"',
    "triple": '"arm-none-eabi"',
    "flags": '["-mcpu=cortex-m4", "-mfpu=fpv4-sp-d16"]',
    "families": '["portable"]',
    "stack_bytes": "1024",
    "memory": """[
        {name = "flash", origin = 0x0800_0000, bytes = 4096, use = ["code", "weights"]},
        {name = "ram", origin = 0x2000_0000, bytes = 4096, use = ["arena", "stack", "data"]},
    ]""",
    "emulator": EMULATOR + "}",
    "board": f"{BOARD}uart = {UART}}}}}",
}


def toml(**changed: str) -> str:
    return "\n".join(f"{key} = {value}" for key, value in (RPI4 | changed).items())


def bare(**changed: str) -> str:
    return "\n".join(f"{key} = {value}" for key, value in (BARE | changed).items())


@pytest.mark.parametrize("name", targets.names())
def test_every_shipped_target_is_valid(name: str) -> None:
    target = targets.load(name)
    assert target.name == name
    assert target.families[-1] == "portable"  # the fallback that covers every op
    assert set(target.families) <= {kernel.family for kernel in REGISTRY}
    if target.os == "none":
        assert ("-mfloat-abi=hard" in target.flags) == (
            target.fpu is not None or target.core == "cortex-m55"
        )
    if target.arch != "native":
        assert target.emulator is not None
        assert f"-mcpu={target.core}" in target.flags
        assert target.emulator.stand_in or target.core in target.emulator.argv


def test_the_promised_targets_are_shipped() -> None:
    assert {
        "host", "rpi3", "rpi4", "rpi5", "rpi-zero-2w", "microbit", "stm32f100", "stm32f405", "mps2-an385", "mps2-an386",
        "mps2-an500", "mps2-an505", "corstone-300", "rp2040", "rp2350", "nrf52840", "stm32f746", "stm32h743",
    } <= set(targets.names())  # fmt: skip


def test_the_regions_of_bare_metal() -> None:
    target = targets.load("stm32f405")
    flash, ram = target.region("weights"), target.region("arena")
    assert flash is not None
    assert (flash.origin, flash.bytes) == (0x0800_0000, 1 << 20)
    assert ram is not None
    assert (ram.origin, ram.bytes) == (0x2000_0000, 128 << 10)
    assert targets.load("host").region("code") is None
    code, weights = (targets.load("corstone-300").region(use) for use in ("code", "weights"))
    assert code is not None
    assert weights is not None
    assert (code.name, weights.name) == ("itcm", "ddr")


def test_the_base_of_the_refusals_below_is_accepted() -> None:
    assert targets.parse(toml(), "x").core == "cortex-a72"
    assert targets.parse(bare(), "x").core == "cortex-m4"


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


def test_an_emulated_board_has_its_memory_elsewhere() -> None:
    target = targets.load("stm32h743")
    there = target.emulated()
    own, moved = target.region("data"), there.region("data")
    assert own is not None
    assert moved is not None
    assert (own.origin, moved.origin) == (0x2400_0000, 0x2000_0000)
    assert own.bytes == moved.bytes
    stm32f405 = targets.load("stm32f405")
    assert stm32f405.emulated() == stm32f405


def regions(*memory: tuple[str, int, int, str]) -> str:
    parts = [
        f'{{name = "{n}", origin = {o}, bytes = {b}, use = [{use}]}}' for n, o, b, use in memory
    ]
    return f"[{', '.join(parts)}]"


STORED, WRITTEN = '"code", "weights"', '"arena", "stack", "data"'


@pytest.mark.parametrize(
    ("changed", "where"),
    [
        ({"arch": '"aarch64"'}, 'os "none", arch "aarch64"'),
        ({"os": '"linux"'}, 'os "linux", arch "arm"'),
        ({"triple": '"arm-linux-gnueabihf"'}, 'triple "arm-linux-gnueabihf"'),
        ({"fpu": '"fpv5-d16"'}, 'flags without "-mfpu=fpv5-d16"'),
        ({"stack_bytes": "1020"}, "stack_bytes: 1020 is not a multiple of 8"),
        (
            {"emulator": '{argv = ["qemu-system-arm", "-cpu", "cortex-m4"]}'},
            'os "none" and emulator.transport "stdio"',
        ),
        (
            {"emulator": f"{EMULATOR}, origins = {{rom = 0}}}}"},
            'emulator.origins: there is no region "rom"',
        ),
        (
            {"emulator": f"{EMULATOR}, origins = {{ram = 0x0800_0fff}}}}"},
            "region ram overlaps another",
        ),
        (
            {"emulator": f"{EMULATOR}, origins = {{ram = 0x1000_0000}}}}"},
            "without other_board = true",
        ),
        (
            {"emulator": f"{EMULATOR.replace('m4', 'm3')}, stand_in = true}}"},
            "without other_board = true",
        ),
        ({"memory": "[]"}, "0 regions for code, weights"),
        ({"memory": regions(("flash", 0, 64, STORED))}, "0 regions for arena, stack, data"),
        (
            {
                "memory": regions(
                    ("a", 0, 64, STORED), ("w", 64, 64, '"weights"'), ("b", 128, 64, WRITTEN)
                )
            },
            "1 regions for code;",
        ),
        (
            {"memory": regions(("a", 0, 64, STORED), ("b", 64, 64, STORED))},
            "2 regions for code, weights",
        ),
        (
            {"memory": regions(("a", 0, 64, STORED + ', "data"'), ("b", 64, 64, WRITTEN))},
            "1 regions for code, weights",
        ),
        (
            {"memory": regions(("a", 0, 65, STORED), ("b", 64, 64, WRITTEN))},
            "region b overlaps another",
        ),
        (
            {"memory": regions(("a", 0, 64, STORED), ("b", 2**32 - 63, 64, WRITTEN))},
            "region b overlaps another, or ends beyond 4 GiB",
        ),
        (
            {"memory": regions(("a", 0, 64, STORED), ("a", 64, 64, WRITTEN))},
            "two regions have the same name",
        ),
        (
            {"memory": regions(("a-b", 0, 64, STORED), ("b", 64, 64, WRITTEN))},
            'memory.0.name: "a-b" has not the form',
        ),
    ],
)
def test_bare_metal_that_does_not_go_together(changed: dict[str, str], where: str) -> None:
    with pytest.raises(InputError, match=r"target file x\.toml") as caught:
        targets.parse(bare(**changed), "x")
    assert where in str(caught.value)


@pytest.mark.parametrize(
    ("board", "where"),
    [
        ('{transport = "ssh"}', "without board.uart"),
        (f'{BOARD}flash = ["x"]}}', "without board.uart"),
        (f'{{transport = "uart:usart1", cycles = "dwt", uart = {UART}}}}}', "or board.clock_hz"),
        (
            f'{{transport = "ssh", cycles = "dwt", clock_hz = 1, uart = {UART}}}}}',
            'board.transport "ssh"',
        ),
        (
            f'{{transport = "uart:usart1", cycles = "systick", clock_hz = 1, uart = {UART}}}}}',
            'core "cortex-m4" and board.cycles "systick"',
        ),
        (f'{{transport = "uart:USART 1", uart = {UART}}}}}', "board.transport"),
        (f"{BOARD}uart = {UART.replace('115_200', '1_000_001')}}}}}", "1000001 baud"),
        (f"{BOARD}uart = {UART.replace('stm32_v1', '../x')}}}}}", "board.uart.driver"),
        (f"{BOARD}uart = {UART.replace('0x4001_1000', '0x4001_1002')}}}}}", "board.uart.base"),
        (f"{BOARD}uart = {UART.replace('PA9', 'PA9 */')}}}}}", "board.uart.tx"),
        (f"{BOARD}uart = {UART}, setup = [{{at = 4, set = -1}}]}}}}", "setup.0.set"),
        (f"{BOARD}uart = {UART}, setup = [{{at = 4, set = 0x1_0000_0000}}]}}}}", "setup.0.set"),
        (f"{BOARD}uart = {UART}, setup = [{{at = 2}}]}}}}", "setup.0.at"),
        (f'{BOARD}flash = ["x", "$(id)"], uart = {UART}}}}}', "board.flash.1"),
        (f'{BOARD}flash = ["x", "{{hex}}"], uart = {UART}}}}}', "board.flash.1"),
        (f'{BOARD}boot = "../x", uart = {UART}}}}}', "board.boot"),
    ],
)
def test_a_board_that_does_not_go_together(board: str, where: str) -> None:
    with pytest.raises(InputError, match=r"target file x\.toml") as caught:
        targets.parse(bare(board=board), "x")
    assert where in str(caught.value)


def test_linux_has_no_serial_runner() -> None:
    with pytest.raises(InputError, match="a board that is not reached by ssh alone"):
        targets.parse(toml(board=f"{BOARD}uart = {UART}}}}}"), "x")


def test_linux_keeps_no_stack_free() -> None:
    with pytest.raises(InputError, match='os "linux" and stack_bytes'):
        targets.parse(toml(stack_bytes="1024"), "x")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"colour": '"red"'}, "colour: unknown key"),
        ({"clock_hz": '"15"'}, 'clock_hz: "15" is not a whole number'),
        ({"clock_hz": "0"}, "clock_hz: 0 is not above 0"),
        ({"families": "[]"}, "families: the list is empty"),
        ({"families": '"portable"'}, 'families: "portable" is not a list'),
        ({"arch": '"z80"'}, "arch: \"z80\" is none of 'native', 'aarch64', 'arm'"),
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
