// SPDX-License-Identifier: MIT-0
//
// SysTick as a counter of cycles: 24 bits that count down from the core's clock (Armv6-M Architecture Reference Manual,
// B3.3), and an exception at each wrap that counts on. It runs between start and stop only, so that no exception's
// frame comes into a measured stack.
#include "board.h"

#ifndef R2B_SYSTICK_RELOAD
#define R2B_SYSTICK_RELOAD 0xFFFFFFu  // a power of two less one
#endif

enum { ENABLE = 1, TICKINT = 2, CLKSOURCE = 4, LOOKS = 1 << 20 };
enum { PENDSTSET = 1 << 26, PENDSTCLR = 1 << 25 };

#define SYST_CSR r2b_register(0xE000E010u)
#define SYST_RVR r2b_register(0xE000E014u)
#define SYST_CVR r2b_register(0xE000E018u)
#define SCB_ICSR r2b_register(0xE000ED04u)

static volatile uint32_t wraps;

void r2b_systick(void) {
    wraps = wraps + 1;
}

bool r2b_systick_start(void) {
    *SYST_CSR = 0;
    *SCB_ICSR = PENDSTCLR;
    *SYST_RVR = R2B_SYSTICK_RELOAD;
    wraps = 0;
    *SYST_CSR = CLKSOURCE | TICKINT | ENABLE;
    *SYST_CVR = 0;  // any write makes it zero, and the next cycle reloads it: under QEMU, its main loop does, later
    for (uint32_t i = 0; i < LOOKS; i++) {
        if (*SYST_CVR != 0) return true;
    }
    return false;
}

uint64_t r2b_systick_count(void) {
    uint32_t before, now, after;
    do {  // a wrap between the two readings would join the old count to the new wraps
        before = wraps;
        now = *SYST_CVR;
        after = wraps;
    } while (before != after || (*SCB_ICSR & PENDSTSET) != 0);
    return (uint64_t)before * (R2B_SYSTICK_RELOAD + 1u) + ((R2B_SYSTICK_RELOAD + 1u - now) & R2B_SYSTICK_RELOAD);
}

void r2b_systick_stop(void) {
    *SYST_CSR = 0;
    *SCB_ICSR = PENDSTCLR;
}
