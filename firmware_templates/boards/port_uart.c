// SPDX-License-Identifier: MIT-0
//
// The runner's port to a board: the host talks over a UART. There is no end of the stream, and where the program ends
// the board starts anew, so that the next request finds it ready.
#include "board.h"
#include "board_config.h"
#include "port.h"

// Bytes come one at a time, and the UART keeps few of them.
const uint32_t r2b_port_part = 1;

#define SILENCE (R2B_CORE_CLOCK_HZ / 2)  // half a second of cycles: a host may pause within a frame, but not so long
#define SCB_AIRCR r2b_register(0xE000ED0Cu)

void r2b_board_open(void) {
    static const struct {
        uintptr_t at;
        uint32_t clear, set, until;
    } setup[] = R2B_UART_SETUP;
    for (unsigned i = 0; setup[i].at != 0; i++) {
        if (setup[i].clear != 0 || setup[i].set != 0) {
            *r2b_register(setup[i].at) = (*r2b_register(setup[i].at) & ~setup[i].clear) | setup[i].set;
        }
        while ((*r2b_register(setup[i].at) & setup[i].until) != setup[i].until) {
        }
    }
    r2b_board_open_memory();
    r2b_uart_open();
}

noreturn void r2b_board_exit(int status) {
    (void)status;
    r2b_uart_drain();
    *SCB_AIRCR = 0x05FA0000u | 1u << 2;  // SYSRESETREQ
    for (;;) {
    }
}

void r2b_board_say(const char *text) {
    for (; *text != '\0'; text++) r2b_uart_put((uint8_t)*text);
}

// The timer is started for each byte that is not there yet, not for each byte.
static bool wait(uint8_t *byte) {
    bool got = false;
    (void)r2b_systick_start();
    while (!got && r2b_systick_count() < SILENCE) got = r2b_uart_get(byte);
    r2b_systick_stop();
    return got;
}

r2b_line r2b_port_read(void *data, size_t bytes, bool begun) {
    uint8_t *at = data;
    for (size_t i = 0; i < bytes; i++) {
        if (r2b_uart_get(at + i)) continue;
        if (begun || i > 0) {
            if (!wait(at + i)) return R2B_LINE_SILENT;
        } else {
            while (!r2b_uart_get(at + i)) {
            }
        }
    }
    return R2B_LINE_READ;
}

// No answer leaves a program whose stack may have overwritten what the answer is made of.
bool r2b_port_write(const void *data, size_t bytes) {
    const uint8_t *const at = data;
    if (r2b_board_ran_over()) {
        r2b_board_say("r2b_runner: the stack ran over\n");
        r2b_board_exit(1);
    }
    for (size_t i = 0; i < bytes; i++) r2b_uart_put(at[i]);
    return true;
}
