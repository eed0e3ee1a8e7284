"""What the boot ROMs of the RP2040 and RP2350 want in the flash: where it lies, what it holds, and what it does."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import HERE, Toolchain, compile_all, run_program
from serial_board import uart_runner

from r2b_edge import targets
from r2b_edge.toolchain import elf
from r2b_edge.toolchain.build import Build

BOOT = Path(__file__).parents[2] / "firmware_templates" / "boards" / "boot_rp2040.S"
STAGE_BYTES = 256
IMAGE_DEFINITION = (0xFFFFDED3, 0x10210142, 0x000001FF, 0x00000000, 0xAB123579)
"""RP2350 datasheet, 5.9.5.1: minimum Arm IMAGE_DEF."""
VECTORS = 16
CORTEX_M0 = Toolchain(
    "cortex-m0",
    "arm-none-eabi-gcc",
    (
        *("-O2", "-mthumb", "-mcpu=cortex-m0", "--specs=rdimon.specs"),
        *(f"-T{HERE / 'cortex_m.ld'}", "-Wl,--defsym=ram=0x21000000"),
    ),
    (
        *("qemu-system-arm", "-M", "mps2-an385", "-display", "none", "-monitor", "none", "-serial", "none"),
        *("-semihosting-config", "enable=on", "-kernel"),
    ),
    sources=(HERE / "cortex_m.c",),
    has_threads=False,
)  # fmt: skip


def crc(data: bytes) -> int:
    """As the RP2040's boot ROM computes it: RP2040 datasheet, 2.8.1.3.1."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ 0x04C11DB7 * (value >> 31)) & 0xFFFFFFFF
    return value


def test_the_crc_is_the_datasheets() -> None:
    """CRC-32/MPEG-2, by the check value of its catalogue."""
    assert crc(b"123456789") == 0x0376E6E7


def starts(image: bytes, program: Path, at: int, name: str) -> None:
    """The vector table `at` an image's byte: the top of the RAM, and the start-up code."""
    ram = targets.load(name).region("data")
    assert ram is not None
    top, reset = struct.unpack_from("<2I", image, at)
    assert top == ram.origin + ram.bytes
    assert reset == elf.symbol_address(program, "r2b_reset") + 1  # Thumb


def test_rp2040_begins_with_its_second_stage(tiny_build: Callable[..., Build]) -> None:
    program = uart_runner(tiny_build("rp2040"))
    image = program.with_suffix(".bin").read_bytes()
    stage = image[:STAGE_BYTES]
    assert elf.symbol_address(program, "r2b_boot") == 0x1000_0000
    assert crc(stage[:-4]) == int.from_bytes(stage[-4:], "little"), hex(crc(stage[:-4]))
    starts(image, program, STAGE_BYTES, "rp2040")


def test_rp2350_has_its_image_definition_behind_the_vectors(
    tiny_build: Callable[..., Build],
) -> None:
    program = uart_runner(tiny_build("rp2350"))
    image = program.with_suffix(".bin").read_bytes()
    starts(image, program, 0, "rp2350")
    assert struct.unpack_from("<5I", image, 4 * VECTORS) == IMAGE_DEFINITION
    assert image.count(struct.pack("<I", IMAGE_DEFINITION[0])) == 1


@pytest.mark.parametrize("name", ["rp2040", "stm32f405"])
def test_others_begin_with_their_vectors(name: str, tiny_build: Callable[..., Build]) -> None:
    """Programs that no boot ROM starts: by semihosting in an emulator, and on boards without such a ROM."""
    built = tiny_build(name)
    program = built.runner if name == "rp2040" else uart_runner(built)
    with pytest.raises(Exception, match="no symbol r2b_boot"):
        elf.symbol_address(program, "r2b_boot")
    origin = 0 if name == "rp2040" else 0x0800_0000
    assert origin <= elf.symbol_address(program, "r2b_reset") < origin + 0x1000


def test_the_second_stage_sets_the_flash_chip_up_and_starts_the_program(
    tmp_path: Path, require_tool: Callable[..., None]
) -> None:
    """Run with memory in the place of the registers; their fields by the RP2040 datasheet, 4.10.13."""
    require_tool(*CORTEX_M0.tools)
    text = BOOT.read_text()
    for line, other in (
        (".equ SSI, 0x18000000", ".equ SSI, test_ssi"),
        (".equ VECTORS, 0x10000100", ".equ VECTORS, test_vectors"),
        ('.section .boot, "ax"', '.section .text.boot, "ax"'),
    ):
        assert text.count(line) == 1
        text = text.replace(line, other)
    (tmp_path / "boot.S").write_text(text)
    here = Path(__file__).parent
    sources = [here / "boot_rp2040.c", tmp_path / "boot.S"]
    said = run_program(CORTEX_M0, compile_all(CORTEX_M0, sources, [], tmp_path), b"")
    ctrlr0, ctrlr1, ssienr, baudr, spi_ctrlr0, vtor, stack = struct.unpack("<7I", said)
    standard, eeprom_read, frame_bits = 0, 3, 32
    assert ctrlr0 == standard << 21 | (frame_bits - 1) << 16 | eeprom_read << 8
    read, command_bits, address_bits = 0x03, 8, 24
    assert spi_ctrlr0 == read << 24 | command_bits // 4 << 8 | address_bits // 4 << 2
    assert (ctrlr1, ssienr, baudr) == (0, 1, 4)
    assert (vtor, stack) == (0, 4096)
