// SPDX-License-Identifier: MIT-0
//
// What is said at an exception that nobody handles: one line, which the host's tool looks for.
#include "board.h"

enum { DIGITS = 8 };

void r2b_board_say_number(uint32_t value) {
    char digits[DIGITS + 3] = "0x";
    for (int i = 0; i < DIGITS; i++) digits[2 + i] = "0123456789abcdef"[(value >> (28 - 4 * i)) & 15];
    r2b_board_say(digits);
}

noreturn void r2b_board_fault(uint32_t exception, uint32_t address) {
    r2b_board_say("r2b_runner: exception ");
    r2b_board_say_number(exception);
    r2b_board_say(" at address ");
    r2b_board_say_number(address);
    r2b_board_say(r2b_board_ran_over() ? ", after the stack ran over\n" : "\n");
    r2b_board_exit(1);
}
