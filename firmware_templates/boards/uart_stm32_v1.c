// SPDX-License-Identifier: MIT-0
//
// USART of the STM32F1, F2, F4 and L1 (RM0090, chapter 30).
#include "board.h"
#include "board_config.h"

#define SR r2b_register(R2B_UART_BASE + 0x00u)
#define DR r2b_register(R2B_UART_BASE + 0x04u)
#define BRR r2b_register(R2B_UART_BASE + 0x08u)
#define CR1 r2b_register(R2B_UART_BASE + 0x0Cu)

enum { SR_RXNE = 1 << 5, SR_TC = 1 << 6, SR_TXE = 1 << 7, CR1_RE = 1 << 2, CR1_TE = 1 << 3, CR1_UE = 1 << 13 };

void r2b_uart_open(void) {
    *BRR = (R2B_UART_CLOCK_HZ + R2B_UART_BAUD / 2) / R2B_UART_BAUD;  // sixteenths of a divider of clock / 16
    *CR1 = CR1_UE | CR1_TE | CR1_RE;
}

bool r2b_uart_get(uint8_t *byte) {
    if ((*SR & SR_RXNE) == 0) return false;
    *byte = (uint8_t)*DR;  // after SR, this also clears an overrun
    return true;
}

void r2b_uart_put(uint8_t byte) {
    while ((*SR & SR_TXE) == 0) {
    }
    *DR = byte;
}

void r2b_uart_drain(void) {
    while ((*SR & SR_TC) == 0) {
    }
}
