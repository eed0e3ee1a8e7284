// SPDX-License-Identifier: MIT-0
//
// From reset to main on every Cortex-M, Armv6-M to Armv8.1-M. No interrupt of a peripheral is enabled, so that the
// vector table ends with the exceptions of the core itself, SysTick the last.
#include "board.h"

int main(void);
void r2b_reset(void);
void r2b_exception(void);
void r2b_report(const uint32_t *stacked, uint32_t exception);

typedef void (*handler)(void);
typedef union {
    const uint8_t *stack_top;
    handler call;
} vector;

enum { PROGRAM_COUNTER = 6 };  // of the eight words that an exception puts on the stack

// 16 entries (Arm v8-M Architecture Reference Manual, B3.30): the stack, reset, and an exception each.
__attribute__((section(".vectors"), used)) static const vector vectors[16] = {
    {.stack_top = r2b_stack_top}, {.call = r2b_reset},     {.call = r2b_exception}, {.call = r2b_exception},
    {.call = r2b_exception},      {.call = r2b_exception}, {.call = r2b_exception}, {.call = r2b_exception},
    {.call = r2b_exception},      {.call = r2b_exception}, {.call = r2b_exception}, {.call = r2b_exception},
    {.call = r2b_exception},      {.call = r2b_exception}, {.call = r2b_exception}, {.call = r2b_systick},
};

// A boot ROM or loader may have left its own table in use. Armv6-M need not have the register.
static void use_vectors(void) {
#if __ARM_ARCH >= 7
    *(volatile uint32_t *)0xE000ED08u = (uint32_t)(uintptr_t)vectors;  // VTOR
#endif
}

static void enable_fpu(void) {
#ifdef __ARM_FP
    volatile uint32_t *const cpacr = (volatile uint32_t *)0xE000ED88u;
    *cpacr |= 0xFu << 20;  // full access to coprocessors 10 and 11, which are the FPU and MVE
    __asm__ volatile("dsb\n\tisb" ::: "memory");
#endif
}

__attribute__((weak)) void r2b_board_prepare(void) {
}

void r2b_reset(void) {
    const uint32_t *from = r2b_data_load;
    enable_fpu();  // first: the compiler may copy by vector registers
    use_vectors();
    r2b_board_prepare();
    for (uint32_t *to = r2b_data_start; to < r2b_data_end; to++) *to = *from++;
    for (uint32_t *to = r2b_bss_start; to < r2b_bss_end; to++) *to = 0;
    r2b_board_open();
    r2b_board_exit(main());
}

// Hands on the stack, where the core has put what it was doing, and the exception's number.
__attribute__((naked)) void r2b_exception(void) {
    __asm__ volatile(
        "mrs r0, msp\n\t"
        "mrs r1, ipsr\n\t"
        "bl r2b_report");
}

__attribute__((used)) void r2b_report(const uint32_t *stacked, uint32_t exception) {
    r2b_board_fault(exception, stacked[PROGRAM_COUNTER]);
}
