// SPDX-License-Identifier: MIT-0
//
// Lets the test programs run on an emulated Cortex-M as they do on Linux: from reset to newlib's start-up code, whose
// stdin and stdout are semihosting calls; the one function that newlib lacks; and the heap, which lies behind the
// variables: newlib's own one ends at the stack, for which the emulator may choose another memory.
#include <errno.h>
#include <malloc.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

extern uint32_t stack_top[];
extern uint8_t heap_start[];
extern uint8_t heap_end[];
void _start(void);
void reset(void);
int posix_memalign(void **block, size_t alignment, size_t bytes);
void *_sbrk(ptrdiff_t bytes);

void reset(void) {
#ifdef __ARM_FP
    *(volatile uint32_t *)0xE000ED88u |= 0xFu << 20;  // CPACR: access to the FPU
    __asm__ volatile("dsb\n\tisb" ::: "memory");
#endif
    *(volatile uint32_t *)0xE000ED14u |= 1u << 3;  // CCR: an unaligned access traps, as it does on a Cortex-M0
    _start();
}

static void fault(void) {
    (void)fputs("an exception: an access that is not allowed?\n", stderr);
    abort();
}

typedef union {
    uint32_t *stack_top;
    void (*call)(void);
} vector;

__attribute__((section(".vectors"), used)) static const vector vectors[16] = {
    {.stack_top = stack_top}, {.call = reset}, {.call = abort}, {.call = fault},
    {.call = fault},          {.call = fault}, {.call = fault}, {.call = abort},
};

int posix_memalign(void **block, size_t alignment, size_t bytes) {
    *block = memalign(alignment, bytes);
    return *block == NULL ? ENOMEM : 0;
}

void *_sbrk(ptrdiff_t bytes) {
    static uint8_t *next = heap_start;
    uint8_t *const block = next;
    if (bytes > heap_end - next) {
        errno = ENOMEM;
        return (void *)-1;
    }
    next += bytes;
    return block;
}
