// SPDX-License-Identifier: MIT-0
//
// What the boot ROM of the RP2350 looks for in the first 4 KB of its flash: an image definition, here the least one for
// Arm (RP2350 datasheet, 5.9.5). It names no entry: the program starts by the vector table at the beginning of the flash.
    .section .boot_block, "a", %progbits
    .global r2b_boot
    .balign 4
r2b_boot:
    .word 0xffffded3                             // a block begins
    .word 0x10210142                             // item 0x42, the image's type, of 1 word: a program, secure, for Arm, RP2350
    .word 0x000001ff                             // the last item, behind 1 word
    .word 0x00000000                             // the next block is this one: there are no others
    .word 0xab123579                             // it ends
