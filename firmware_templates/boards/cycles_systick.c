// SPDX-License-Identifier: MIT-0
//
// Cycles of a step by SysTick, on cores without a cycle counter (M0, M0+).
#include "board.h"
#include "port.h"

r2b_unit r2b_port_unit(void) {
    const bool counts = r2b_systick_start();
    r2b_systick_stop();
    return counts ? R2B_UNIT_CYCLES : R2B_UNIT_NONE;
}

void r2b_port_count_start(void) {
    (void)r2b_systick_start();
}

uint64_t r2b_port_count_stop(void) {
    const uint64_t count = r2b_systick_count();
    r2b_systick_stop();
    return count;
}
