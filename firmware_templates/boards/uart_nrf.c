// SPDX-License-Identifier: MIT-0
//
// UART of the nRF51 and nRF52, the one without DMA (nRF51 Series Reference Manual, chapter 29).
#include "board.h"
#include "board_config.h"

#define STARTRX r2b_register(R2B_UART_BASE + 0x000u)
#define STARTTX r2b_register(R2B_UART_BASE + 0x008u)
#define RXDRDY r2b_register(R2B_UART_BASE + 0x108u)
#define TXDRDY r2b_register(R2B_UART_BASE + 0x11Cu)
#define ENABLE r2b_register(R2B_UART_BASE + 0x500u)
#define RXD r2b_register(R2B_UART_BASE + 0x518u)
#define TXD r2b_register(R2B_UART_BASE + 0x51Cu)
#define BAUDRATE r2b_register(R2B_UART_BASE + 0x524u)

enum { ENABLED = 4 };

static bool sending;

void r2b_uart_open(void) {
    // 2^32 steps are the UART's clock; the lower 12 bits are not used, and the manual's own values are rounded so too.
    const uint64_t rate = ((uint64_t)R2B_UART_BAUD << 32) / R2B_UART_CLOCK_HZ;
    *BAUDRATE = (uint32_t)(rate + 0x800u) & 0xFFFFF000u;
    *ENABLE = ENABLED;
    *RXDRDY = 0;
    *STARTRX = 1;
    *STARTTX = 1;
    sending = false;
}

bool r2b_uart_get(uint8_t *byte) {
    if (*RXDRDY == 0) return false;
    *RXDRDY = 0;  // before the byte is taken: taking it makes room, and the next one sets the event again
    *byte = (uint8_t)*RXD;
    return true;
}

void r2b_uart_drain(void) {
    while (sending && *TXDRDY == 0) {
    }
    sending = false;
}

void r2b_uart_put(uint8_t byte) {
    r2b_uart_drain();
    *TXDRDY = 0;
    *TXD = byte;
    sending = true;
}
