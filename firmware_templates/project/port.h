// SPDX-License-Identifier: MIT-0
//
// port.h: what the runner needs from the machine it runs on. One port_<machine>.c a machine.
#ifndef R2B_PORT_H
#define R2B_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Fills `data` with the next `bytes` bytes from the host; false when the stream has ended.
bool r2b_port_read(void *data, size_t bytes);

// Sends `bytes` bytes to the host; false when nobody listens any more.
bool r2b_port_write(const void *data, size_t bytes);

// Nanoseconds on a clock that never goes back.
uint64_t r2b_port_ns(void);

// A zeroed buffer whose address is a multiple of `alignment` (a power of two), or null. Never freed.
void *r2b_port_buffer(size_t bytes, size_t alignment);

// The greatest depth of stack, in bytes, that `call(context)` reaches below its caller, measured on a
// painted stack; 0 where this build cannot measure it.
uint64_t r2b_port_stack(void (*call)(void *context), void *context);

#endif  // R2B_PORT_H
