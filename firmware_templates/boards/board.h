// SPDX-License-Identifier: MIT-0
//
// board.h: between the start-up code, the linker script and a transport, on bare metal.
#ifndef R2B_BOARD_H
#define R2B_BOARD_H

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

// Of the transport (port_<transport>.c): before main, after it, and at an exception that nobody handles.
void r2b_board_open(void);
noreturn void r2b_board_exit(int status);
noreturn void r2b_board_fault(uint32_t exception, uint32_t address);

#endif  // R2B_BOARD_H
