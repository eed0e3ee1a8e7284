// SPDX-License-Identifier: MIT-0
//
// Runs the RP2040's second stage on an emulated board, with memory in the place of the flash chip's interface, and
// prints what it leaves: seven words, in the order of the table in `started`.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

extern uint32_t stack_top[];
uint32_t test_ssi[64];  // the SSI's registers
void r2b_boot(void);
static void started(uint32_t stack);

// As a core starts: the second stage sets the stack by the first word, and jumps to the second.
__attribute__((naked)) static void start(void) {
    __asm__ volatile(
        "mov r0, sp\n\t"
        "b %c0"
        :
        : "i"(started));
}

typedef union {
    uint32_t *stack;
    void (*call)(void);
} vector;

extern const vector test_vectors[2];
__attribute__((aligned(256))) const vector test_vectors[2] = {{.stack = stack_top - 1024}, {.call = start}};

__attribute__((used)) static void started(uint32_t stack) {
    const uint32_t words[] = {
        test_ssi[0x00 / 4],
        test_ssi[0x04 / 4],
        test_ssi[0x08 / 4],
        test_ssi[0x14 / 4],
        test_ssi[0xf4 / 4],
        *(volatile uint32_t *)0xe000ed08u - (uint32_t)(uintptr_t)test_vectors,
        (uint32_t)(uintptr_t)stack_top - stack,
    };
    if (fwrite(words, sizeof words, 1, stdout) != 1) abort();
    exit(0);
}

int main(void) {
    for (int i = 0; i < 64; i++) test_ssi[i] = UINT32_MAX;
    r2b_boot();
    return 1;
}
