// SPDX-License-Identifier: MIT-0
//
// Arm's PrimeCell UART PL011 (DDI 0183), in the RP2040 and RP2350; its FIFOs are on.
#include "board.h"
#include "board_config.h"

#define DR r2b_register(R2B_UART_BASE + 0x00u)
#define FR r2b_register(R2B_UART_BASE + 0x18u)
#define IBRD r2b_register(R2B_UART_BASE + 0x24u)
#define FBRD r2b_register(R2B_UART_BASE + 0x28u)
#define LCR_H r2b_register(R2B_UART_BASE + 0x2Cu)
#define CR r2b_register(R2B_UART_BASE + 0x30u)

enum { FR_BUSY = 1 << 3, FR_RX_EMPTY = 1 << 4, FR_TX_FULL = 1 << 5, LCR_FIFOS = 1 << 4, LCR_8_BITS = 3 << 5 };
enum { CR_UART = 1 << 0, CR_TX = 1 << 8, CR_RX = 1 << 9 };

void r2b_uart_open(void) {
    // 64ths of a divider of clock / 16.
    const uint32_t divider = (uint32_t)((4u * (uint64_t)R2B_UART_CLOCK_HZ + R2B_UART_BAUD / 2) / R2B_UART_BAUD);
    *CR = 0;
    *IBRD = divider >> 6;
    *FBRD = divider & 63u;
    *LCR_H = LCR_FIFOS | LCR_8_BITS;  // after the divider, which it makes valid
    *CR = CR_UART | CR_TX | CR_RX;
}

bool r2b_uart_get(uint8_t *byte) {
    if ((*FR & FR_RX_EMPTY) != 0) return false;
    *byte = (uint8_t)*DR;
    return true;
}

void r2b_uart_put(uint8_t byte) {
    while ((*FR & FR_TX_FULL) != 0) {
    }
    *DR = byte;
}

void r2b_uart_drain(void) {
    while ((*FR & FR_BUSY) != 0) {
    }
}
