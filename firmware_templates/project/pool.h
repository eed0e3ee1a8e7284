// SPDX-License-Identifier: MIT-0
//
// pool.h: a pool of threads for r2b_run, on anything that has POSIX threads; pool_linux.c is all of it.
#ifndef R2B_POOL_H
#define R2B_POOL_H

#include "r2b.h"

// `threads` threads, the caller's among them, or null where they cannot be had. Thread t runs the tasks t, t + threads,
// t + 2 * threads and so on: the same rows of neighbouring layers stay in the same core's cache. Whoever waits sleeps.
// One run at a time, from one thread at a time; a task that calls `run` ends the program.
const r2b_parallel *r2b_pool_open(uint32_t threads);

// Ends the threads; null is no pool.
void r2b_pool_close(const r2b_parallel *pool);

#endif  // R2B_POOL_H
