// SPDX-License-Identifier: MIT-0
//
// one_thread.c: the threads of a board without an operating system.
#include "port.h"

bool r2b_port_threads(uint32_t threads, const r2b_parallel **parallel) {
    *parallel = NULL;
    return threads == 1;
}
