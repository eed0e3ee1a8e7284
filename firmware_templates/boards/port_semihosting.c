// SPDX-License-Identifier: MIT-0
//
// The runner's port to bare metal under an emulator or a debugger, by Arm's semihosting calls (Semihosting for AArch32
// and AArch64, ARM 2003): the host talks over the console that these open.
#include "board.h"
#include "port.h"

enum { SYS_OPEN = 0x01, SYS_WRITE = 0x05, SYS_READ = 0x06, SYS_EXIT = 0x18 };
enum { MODE_READ = 0, MODE_WRITE = 4, MODE_APPEND = 8 };  // on the console: standard input, output and error
enum { STOPPED_RUN_TIME_ERROR = 0x20023, STOPPED_APPLICATION_EXIT = 0x20026 };

const uint32_t r2b_port_part = UINT32_MAX;

static uintptr_t input, output, errors;  // handles

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

void r2b_board_open(void) {
    input = open_console(MODE_READ);
    output = open_console(MODE_WRITE);
    errors = open_console(MODE_APPEND);
    r2b_board_open_memory();
}

noreturn void r2b_board_exit(int status) {
    for (;;) (void)semihost(SYS_EXIT, status == 0 ? STOPPED_APPLICATION_EXIT : STOPPED_RUN_TIME_ERROR);
}

void r2b_board_say(const char *text) {
    size_t length = 0;
    while (text[length] != '\0') length++;
    (void)write_to(errors, text, length);
}

// A console loses nothing: a frame that has begun goes on, or the stream ends.
r2b_line r2b_port_read(void *data, size_t bytes, bool begun) {
    uint8_t *at = data;
    (void)begun;
    while (bytes > 0) {
        const uintptr_t arguments[3] = {input, (uintptr_t)at, bytes};
        const size_t missing = semihost(SYS_READ, (uintptr_t)arguments);
        if (missing >= bytes) return R2B_LINE_ENDED;  // all of it: the end of the stream; more: an error
        at += bytes - missing;
        bytes = missing;
    }
    return R2B_LINE_READ;
}

// No answer leaves a program whose stack may have overwritten what the answer is made of.
bool r2b_port_write(const void *data, size_t bytes) {
    if (r2b_board_ran_over()) {
        r2b_board_say("r2b_runner: the stack ran over\n");
        r2b_board_exit(1);
    }
    return write_to(output, data, bytes);
}
