// SPDX-License-Identifier: MIT-0
//
// USART of the STM32F0, F3, F7, G, H7, L4 and later (RM0433, chapter 48); its FIFO stays off.
#include "board.h"
#include "board_config.h"

#define CR1 r2b_register(R2B_UART_BASE + 0x00u)
#define BRR r2b_register(R2B_UART_BASE + 0x0Cu)
#define ISR r2b_register(R2B_UART_BASE + 0x1Cu)
#define ICR r2b_register(R2B_UART_BASE + 0x20u)
#define RDR r2b_register(R2B_UART_BASE + 0x24u)
#define TDR r2b_register(R2B_UART_BASE + 0x28u)

enum { ISR_ORE = 1 << 3, ISR_RXNE = 1 << 5, ISR_TC = 1 << 6, ISR_TXE = 1 << 7 };
enum { CR1_UE = 1 << 0, CR1_RE = 1 << 2, CR1_TE = 1 << 3 };

void r2b_uart_open(void) {
    *BRR = (R2B_UART_CLOCK_HZ + R2B_UART_BAUD / 2) / R2B_UART_BAUD;
    *CR1 = CR1_UE | CR1_TE | CR1_RE;
}

bool r2b_uart_get(uint8_t *byte) {
    const uint32_t state = *ISR;
    if ((state & ISR_ORE) != 0) *ICR = ISR_ORE;  // the lost byte is the CRC's affair
    if ((state & ISR_RXNE) == 0) return false;
    *byte = (uint8_t)*RDR;
    return true;
}

void r2b_uart_put(uint8_t byte) {
    while ((*ISR & ISR_TXE) == 0) {
    }
    *TDR = byte;
}

void r2b_uart_drain(void) {
    while ((*ISR & ISR_TC) == 0) {
    }
}
