// SPDX-License-Identifier: MIT-0
//
// Cycles of a step by the DWT unit's CYCCNT (Armv7-M Architecture Reference Manual, C1.8). It has 32 bits: a step of
// more than 2^32 cycles, 25 s at 168 MHz, is told modulo that. It reads as a constant where it is missing, as under
// QEMU.
#include "board.h"
#include "port.h"

enum { LOOKS = 1000 };

#define DEMCR r2b_register(0xE000EDFCu)
#define DWT_CTRL r2b_register(0xE0001000u)
#define DWT_CYCCNT r2b_register(0xE0001004u)
#define DWT_LAR r2b_register(0xE0001FB0u)

static uint32_t started;

r2b_unit r2b_port_unit(void) {
    *DEMCR |= 1u << 24;     // TRCENA
    *DWT_LAR = 0xC5ACCE55;  // the Cortex-M7 has a lock on the unit; elsewhere nothing lies here
    *DWT_CYCCNT = 0;
    *DWT_CTRL |= 1u;  // CYCCNTENA
    const uint32_t first = *DWT_CYCCNT;
    for (int i = 0; i < LOOKS; i++) {
        if (*DWT_CYCCNT != first) return R2B_UNIT_CYCLES;
    }
    return R2B_UNIT_NONE;
}

void r2b_port_count_start(void) {
    started = *DWT_CYCCNT;
}

uint64_t r2b_port_count_stop(void) {
    return *DWT_CYCCNT - started;
}
