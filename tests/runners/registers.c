// Drivers of what QEMU does not have, against registers that are cells of memory: the USART of the later STM32, and the
// DWT unit's counter of cycles, which counts here by one at each look. Prints what the test expects to read.
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define R2B_BOARD_H  // in place of board.h
void r2b_uart_open(void);
bool r2b_uart_get(uint8_t *byte);
void r2b_uart_put(uint8_t byte);
void r2b_uart_drain(void);
bool r2b_board_ran_over(void);

static volatile uint32_t usart[16];
static volatile uint32_t dwt_control, dwt_count, debug_control, lock;
static uint32_t step = 1;

static volatile uint32_t *r2b_register(uintptr_t address) {
    switch (address) {
        case 0xE000EDFCu:
            return &debug_control;
        case 0xE0001000u:
            return &dwt_control;
        case 0xE0001FB0u:
            return &lock;
        case 0xE0001004u:
            if ((dwt_control & 1) != 0 && (debug_control & 1u << 24) != 0) dwt_count += step;
            return &dwt_count;
        default:
            return &usart[(address - 0x40004800u) / 4];
    }
}

#include "uart_stm32_v2.c"

#include "cycles_dwt.c"

enum { USART_CR1 = 0, USART_BRR = 3, USART_ISR = 7, USART_ICR = 8, USART_RDR = 9, USART_TDR = 10 };

int main(void) {
    uint8_t byte = 0;
    usart[USART_ISR] = 1 << 7 | 1 << 6;  // room to send, and all sent
    r2b_uart_open();
    (void)printf("divider %u control %#x\n", (unsigned)usart[USART_BRR], (unsigned)usart[USART_CR1]);
    r2b_uart_put('A');
    r2b_uart_drain();
    (void)printf("sent %c\n", (char)usart[USART_TDR]);
    usart[USART_RDR] = 'x';
    (void)printf("nothing %d\n", r2b_uart_get(&byte));
    usart[USART_ISR] |= 1 << 5;
    (void)printf("got %d", r2b_uart_get(&byte));
    (void)printf(" %c cleared %u\n", byte, (unsigned)usart[USART_ICR]);
    usart[USART_ISR] |= 1 << 3;  // an overrun
    (void)r2b_uart_get(&byte);
    (void)printf("overrun cleared %u\n", (unsigned)usart[USART_ICR]);

    (void)printf("unit %d", r2b_port_unit());
    (void)printf(" lock %#x\n", (unsigned)lock);
    dwt_count = 0xFFFFFFF0u;  // it wraps during the step
    r2b_port_count_start();
    dwt_count += 100;
    (void)printf("count %u\n", (unsigned)r2b_port_count_stop());
    step = 0;
    (void)printf("standing still: unit %d\n", r2b_port_unit());
    return 0;
}
