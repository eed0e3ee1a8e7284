// SPDX-License-Identifier: MIT-0
//
// port.h: what the runner needs from the machine it runs on. One port_<machine>.c a machine.
#ifndef R2B_PORT_H
#define R2B_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "r2b.h"

typedef enum {
    R2B_LINE_READ = 0,
    R2B_LINE_ENDED = 1,   // no more will come
    R2B_LINE_SILENT = 2,  // what has begun does not go on
} r2b_line;

// Fills `data` with the next `bytes` bytes from the host. Where the line can lose bytes, and `begun` says that these
// belong to a frame that has begun, half a second without a byte is R2B_LINE_SILENT; else it waits.
r2b_line r2b_port_read(void *data, size_t bytes, bool begun);

// The most bytes of a payload to ask for at once: 1 where the line has no buffer, so that the reader keeps pace.
extern const uint32_t r2b_port_part;

// Sends `bytes` bytes to the host; false when nobody listens any more.
bool r2b_port_write(const void *data, size_t bytes);

typedef enum {
    R2B_UNIT_NONE = 0,    // there is no counter, or it stands still, as some do under an emulator
    R2B_UNIT_NS = 1,      // nanoseconds
    R2B_UNIT_CYCLES = 2,  // cycles of the core
} r2b_unit;

// What the counter counts; to be asked once, before it is used. What it has counted between start and stop includes
// its own handling, a few dozen cycles.
r2b_unit r2b_port_unit(void);
void r2b_port_count_start(void);
uint64_t r2b_port_count_stop(void);

// A zeroed buffer whose address is a multiple of `alignment` (a power of two), or null. Never freed.
void *r2b_port_buffer(size_t bytes, size_t alignment);

// From now on a model's tasks have so many threads, 1 or more; *parallel is null for one. False, and null, where they
// cannot be had.
bool r2b_port_threads(uint32_t threads, const r2b_parallel **parallel);

// The greatest depth of stack, in bytes, that `call(context)` reaches below its caller, measured on a
// painted stack; 0 where this build cannot measure it.
uint64_t r2b_port_stack(void (*call)(void *context), void *context);

#endif  // R2B_PORT_H
