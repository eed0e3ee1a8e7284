// SPDX-License-Identifier: MIT-0
//
// The runner's memory on bare metal: buffers that grow up from the last variable, and a stack that grows down to them.
#include "board.h"
#include "port.h"

enum { PAINT = 0xA5, OWN_FRAME = 128, GUARD = 32 };

static uint8_t *next;  // of the RAM that is free for buffers: GUARD bytes of paint lie there

static void paint_guard(void) {
    for (int i = 0; i < GUARD; i++) next[i] = PAINT;
}

void r2b_board_open_memory(void) {
    next = r2b_free_start;
    paint_guard();
}

bool r2b_board_ran_over(void) {
    for (int i = 0; i < GUARD; i++) {
        if (((const volatile uint8_t *)next)[i] != PAINT) return true;
    }
    return false;
}

// As in port_linux.c, the address is a multiple of `alignment` and of no greater power of two: code that needs a
// better one fails here.
void *r2b_port_buffer(size_t bytes, size_t alignment) {
    const size_t room = (size_t)(r2b_stack_limit - next);
    const size_t pad = (3 * alignment - (uintptr_t)next % (2 * alignment)) % (2 * alignment);
    if (pad > room || bytes > room - pad) {
        r2b_board_say("r2b_runner: no memory for a buffer of ");
        r2b_board_say_number((uint32_t)bytes);
        r2b_board_say(" bytes\n");
        return NULL;
    }
    uint8_t *const buffer = next + pad;
    next = buffer + bytes;
    for (size_t i = 0; i < bytes; i++) buffer[i] = 0;
    paint_guard();
    return buffer;
}

// Paints the stack from the last buffer's end up to just below this function's own frame.
__attribute__((noinline)) static void paint(void) {
    uint8_t *const end = (uint8_t *)__builtin_frame_address(0) - OWN_FRAME;
    for (volatile uint8_t *at = next; at < end; at++) *at = PAINT;
}

__attribute__((noinline)) uint64_t r2b_port_stack(void (*call)(void *context), void *context) {
    const uint8_t *const caller = __builtin_frame_address(0);
    const uint8_t *lowest = next;
    paint();
    call(context);
    while (lowest < caller && *(const volatile uint8_t *)lowest == PAINT) lowest++;
    return (uint64_t)(caller - lowest);
}
