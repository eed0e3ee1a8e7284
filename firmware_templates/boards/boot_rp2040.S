// SPDX-License-Identifier: MIT-0
//
// The first 256 bytes of an RP2040's flash: the boot ROM copies them to RAM and runs them there, if the last four are the
// CRC-32 of the others (RP2040 datasheet, 2.8.1). They let the serial interface of the flash chip (SSI, 4.10) read by the
// command 03h, one bit at a time, which every chip knows, at a quarter of the core's clock: slow, and safe. Then the
// program starts as after a reset. It runs wherever it lies; the CRC at its end is of exactly this code.
    .syntax unified
    .cpu cortex-m0plus
    .thumb

    .equ SSI, 0x18000000
    .equ CTRLR0, 0x00
    .equ CTRLR1, 0x04
    .equ SSIENR, 0x08
    .equ BAUDR, 0x14
    .equ SPI_CTRLR0, 0xf4

    .equ READ_FRAMES, 31 << 16 | 3 << 8          // frames of 32 bits, one bit wide; command and address go out, data comes in
    .equ READ_COMMAND, 0x03 << 24 | 2 << 8 | 6 << 2  // 03h; 8 bits of command and 24 of address, both counted in fours

    .equ VTOR, 0xe000ed08
    .equ VECTORS, 0x10000100                     // behind these 256 bytes

    .section .boot, "ax", %progbits
    .global r2b_boot
    .type r2b_boot, %function
    .balign 4
    .thumb_func
r2b_boot:
    ldr r3, =SSI
    movs r0, #0
    str r0, [r3, #SSIENR]                        // its registers change only while it is off
    movs r1, #4
    str r1, [r3, #BAUDR]
    ldr r1, =READ_FRAMES
    str r1, [r3, #CTRLR0]
    str r0, [r3, #CTRLR1]                        // one frame a read
    ldr r1, =READ_COMMAND
    ldr r2, =SSI + SPI_CTRLR0
    str r1, [r2]
    movs r0, #1
    str r0, [r3, #SSIENR]

    ldr r0, =VECTORS
    ldr r1, =VTOR
    str r0, [r1]
    ldm r0!, {r1, r2}
    msr msp, r1
    bx r2

    .ltorg
    .org 252
    .word 0x1812a82c                             // CRC-32 of the 252 bytes: polynomial 0x04c11db7, from all ones, unreflected
