// SPDX-License-Identifier: MIT-0
//
// The runner's port to bare metal under an emulator or a debugger, by Arm's semihosting calls (Semihosting for AArch32
// and AArch64, ARM 2003): the host talks over the console that these open.
#include <stddef.h>

#include "board.h"
#include "port.h"

enum { SYS_OPEN = 0x01, SYS_WRITE = 0x05, SYS_READ = 0x06, SYS_EXIT = 0x18, SYS_ELAPSED = 0x30 };
enum { MODE_READ = 0, MODE_WRITE = 4, MODE_APPEND = 8 };  // on the console: standard input, output and error
enum { STOPPED_RUN_TIME_ERROR = 0x20023, STOPPED_APPLICATION_EXIT = 0x20026 };
enum { PAINT = 0xA5, OWN_FRAME = 128, GUARD = 32, ERROR_DIGITS = 8 };

static uintptr_t input, output, errors;  // handles
static uint8_t *next;                    // of the RAM that is free for buffers: GUARD bytes of paint lie there

// One call; `arguments` is what the operation asks for, an address or a number.
static uintptr_t semihost(uint32_t operation, uintptr_t arguments) {
    register uintptr_t r0 __asm__("r0") = operation;
    register uintptr_t r1 __asm__("r1") = arguments;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

static uintptr_t open_console(uintptr_t mode) {
    static const char console[] = ":tt";
    const uintptr_t arguments[3] = {(uintptr_t)console, mode, sizeof console - 1};
    return semihost(SYS_OPEN, (uintptr_t)arguments);
}

static bool write_to(uintptr_t handle, const void *data, size_t bytes) {
    const uintptr_t arguments[3] = {handle, (uintptr_t)data, bytes};
    return bytes == 0 || semihost(SYS_WRITE, (uintptr_t)arguments) == 0;  // the bytes that were not written
}

static void say(const char *text) {
    size_t length = 0;
    while (text[length] != '\0') length++;
    (void)write_to(errors, text, length);
}

static void say_number(uint32_t value) {
    char digits[ERROR_DIGITS + 3] = "0x";
    for (int i = 0; i < ERROR_DIGITS; i++) digits[2 + i] = "0123456789abcdef"[(value >> (28 - 4 * i)) & 15];
    say(digits);
}

static void paint_guard(void) {
    for (int i = 0; i < GUARD; i++) next[i] = PAINT;
}

// True if the stack has grown down to the last buffer, and maybe into it.
static bool stack_ran_over(void) {
    for (int i = 0; i < GUARD; i++) {
        if (((const volatile uint8_t *)next)[i] != PAINT) return true;
    }
    return false;
}

void r2b_board_open(void) {
    input = open_console(MODE_READ);
    output = open_console(MODE_WRITE);
    errors = open_console(MODE_APPEND);
    next = r2b_free_start;
    paint_guard();
}

noreturn void r2b_board_exit(int status) {
    for (;;) (void)semihost(SYS_EXIT, status == 0 ? STOPPED_APPLICATION_EXIT : STOPPED_RUN_TIME_ERROR);
}

noreturn void r2b_board_fault(uint32_t exception, uint32_t address) {
    say("r2b_runner: exception ");
    say_number(exception);
    say(" at address ");
    say_number(address);
    say(stack_ran_over() ? ", after the stack ran over\n" : "\n");
    r2b_board_exit(1);
}

bool r2b_port_read(void *data, size_t bytes) {
    uint8_t *at = data;
    while (bytes > 0) {
        const uintptr_t arguments[3] = {input, (uintptr_t)at, bytes};
        const size_t missing = semihost(SYS_READ, (uintptr_t)arguments);
        if (missing >= bytes) return false;  // all of it: the end of the stream; more: an error
        at += bytes - missing;
        bytes = missing;
    }
    return true;
}

// No answer leaves a program whose stack may have overwritten what the answer is made of.
bool r2b_port_write(const void *data, size_t bytes) {
    if (stack_ran_over()) {
        say("r2b_runner: the stack ran over\n");
        r2b_board_exit(1);
    }
    return write_to(output, data, bytes);
}

// The clock of the host, which an emulator offers: cores without a cycle counter have no other.
uint64_t r2b_port_ns(void) {
    uint64_t now = 0;
    (void)semihost(SYS_ELAPSED, (uintptr_t)&now);
    return now;
}

// As in port_linux.c, the address is a multiple of `alignment` and of no greater power of two: code that needs a
// better one fails here.
void *r2b_port_buffer(size_t bytes, size_t alignment) {
    const size_t room = (size_t)(r2b_stack_limit - next);
    const size_t pad = (3 * alignment - (uintptr_t)next % (2 * alignment)) % (2 * alignment);
    if (pad > room || bytes > room - pad) {
        say("r2b_runner: no memory for a buffer of ");
        say_number((uint32_t)bytes);
        say(" bytes\n");
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
