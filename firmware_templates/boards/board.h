// SPDX-License-Identifier: MIT-0
//
// board.h: between the start-up code, the linker script, a transport, a counter and a UART, on bare metal.
#ifndef R2B_BOARD_H
#define R2B_BOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdnoreturn.h>

// Symbols of the linker script; only their addresses mean something.
extern uint32_t r2b_data_load[];   // where the initial values of variables are stored
extern uint32_t r2b_data_start[];  // where the variables lie
extern uint32_t r2b_data_end[];    //
extern uint32_t r2b_bss_start[];   // variables that start as zero
extern uint32_t r2b_bss_end[];     //
extern uint8_t r2b_free_start[];   // RAM that no variable occupies: buffers grow up from here,
extern uint8_t r2b_stack_limit[];  // at most to here,
extern uint8_t r2b_stack_top[];    // and the stack down from here

// A register; its address is a number.
static inline volatile uint32_t *r2b_register(uintptr_t address) {
    return (volatile uint32_t *)address;
}

// Of the firmware, if it wants: called at reset, before any variable has its value. The place to set the clock, and to
// copy code into tightly coupled memory (docs/bring-up.md). The one in startup_cortex_m.c, which is weak, does nothing.
void r2b_board_prepare(void);

// memory.c: the buffers, and the stack that grows towards them.
void r2b_board_open_memory(void);
bool r2b_board_ran_over(void);  // the stack has grown down to the last buffer, and maybe into it

// fault.c: at an exception that nobody handles.
noreturn void r2b_board_fault(uint32_t exception, uint32_t address);
void r2b_board_say_number(uint32_t value);

// Of the transport (port_semihosting.c, port_uart.c): before main, after it, and words for people.
void r2b_board_open(void);
noreturn void r2b_board_exit(int status);
void r2b_board_say(const char *text);

// systick.c: the timer that every Cortex-M has, as a counter of the core's cycles since its start; false if it does not
// count.
bool r2b_systick_start(void);
uint64_t r2b_systick_count(void);
void r2b_systick_stop(void);
void r2b_systick(void);  // its exception

// uart_<driver>.c: 8 bits, no parity, 1 stop bit, polled.
void r2b_uart_open(void);
bool r2b_uart_get(uint8_t *byte);  // false: none has come
void r2b_uart_put(uint8_t byte);   // waits for room
void r2b_uart_drain(void);         // waits until the last byte is on its way

#endif  // R2B_BOARD_H
