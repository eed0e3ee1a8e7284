// SPDX-License-Identifier: MIT-0
//
// APB UART of Arm's Cortex-M System Design Kit (DDI 0479, 4.3), on the MPS2 and MPS3 boards.
#include "board.h"
#include "board_config.h"

#define DATA r2b_register(R2B_UART_BASE + 0x00u)
#define STATE r2b_register(R2B_UART_BASE + 0x04u)
#define CTRL r2b_register(R2B_UART_BASE + 0x08u)
#define BAUDDIV r2b_register(R2B_UART_BASE + 0x10u)

enum { STATE_TX_FULL = 1, STATE_RX_FULL = 2, STATE_RX_OVERRUN = 8, CTRL_TX = 1, CTRL_RX = 2 };

void r2b_uart_open(void) {
    *BAUDDIV = (R2B_UART_CLOCK_HZ + R2B_UART_BAUD / 2) / R2B_UART_BAUD;
    *CTRL = CTRL_TX | CTRL_RX;
}

bool r2b_uart_get(uint8_t *byte) {
    const uint32_t state = *STATE;
    if ((state & STATE_RX_OVERRUN) != 0) *STATE = STATE_RX_OVERRUN;  // the lost byte is the CRC's affair
    if ((state & STATE_RX_FULL) == 0) return false;
    *byte = (uint8_t)*DATA;
    return true;
}

void r2b_uart_put(uint8_t byte) {
    while ((*STATE & STATE_TX_FULL) != 0) {
    }
    *DATA = byte;
}

// The flag falls when the byte leaves the buffer for the line, where nothing tells of it: two bytes' time is waited
// for.
void r2b_uart_drain(void) {
    while ((*STATE & STATE_TX_FULL) != 0) {
    }
    (void)r2b_systick_start();
    while (r2b_systick_count() < 20u * (R2B_CORE_CLOCK_HZ / R2B_UART_BAUD)) {
    }
    r2b_systick_stop();
}
