// SPDX-License-Identifier: MIT-0
//
// The runner's port to Linux: the host talks over standard input and output.
#define _POSIX_C_SOURCE 200809L

#include "pool.h"
#include "port.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif

enum { PAINT = 0xA5, STACK_BYTES = 8 << 20, OWN_FRAME = 128 };

const uint32_t r2b_port_part = UINT32_MAX;

static uint64_t started;

// A pipe loses nothing: a frame that has begun goes on, or the stream ends.
r2b_line r2b_port_read(void *data, size_t bytes, bool begun) {
    uint8_t *at = data;
    (void)begun;
    while (bytes > 0) {
        const ssize_t got = read(STDIN_FILENO, at, bytes);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return R2B_LINE_ENDED;
        at += got;
        bytes -= (size_t)got;
    }
    return R2B_LINE_READ;
}

bool r2b_port_write(const void *data, size_t bytes) {
    const uint8_t *at = data;
    while (bytes > 0) {
        const ssize_t put = write(STDOUT_FILENO, at, bytes);
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) return false;
        at += put;
        bytes -= (size_t)put;
    }
    return true;
}

static uint64_t now_ns(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

r2b_unit r2b_port_unit(void) {
    return R2B_UNIT_NS;
}

void r2b_port_count_start(void) {
    started = now_ns();
}

uint64_t r2b_port_count_stop(void) {
    return now_ns() - started;
}

bool r2b_port_threads(uint32_t threads, const r2b_parallel **parallel) {
    static const r2b_parallel *pool;
    r2b_pool_close(pool);
    *parallel = pool = threads > 1 ? r2b_pool_open(threads) : NULL;
    return threads == 1 || pool != NULL;
}

// The address is a multiple of `alignment` and of no greater power of two, so that code which needs a
// better one fails here and not only in a product; the buffer ends where the allocation ends, so that
// AddressSanitizer sees the first byte read or written beyond it.
void *r2b_port_buffer(size_t bytes, size_t alignment) {
    void *block = NULL;
    if (alignment < sizeof(void *)) alignment = sizeof(void *);
    if (bytes > SIZE_MAX - alignment || posix_memalign(&block, 2 * alignment, alignment + bytes) != 0) {
        (void)fprintf(stderr, "r2b_runner: no memory for a buffer of %zu bytes\n", bytes);
        return NULL;
    }
    memset(block, 0, alignment + bytes);
    return (uint8_t *)block + alignment;
}

#ifdef __SANITIZE_ADDRESS__

// AddressSanitizer pads every frame: a depth measured here would be no one's.
uint64_t r2b_port_stack(void (*call)(void *context), void *context) {
    (void)call;
    (void)context;
    return 0;
}

#else

typedef struct {
    void (*call)(void *context);
    void *context;
    uint8_t *stack;
    uint64_t depth;
} job;

// Paints the running thread's stack from its far end up to just below this function's own frame.
__attribute__((noinline)) static void paint(uint8_t *stack) {
    uint8_t *const end = (uint8_t *)__builtin_frame_address(0) - OWN_FRAME;
    for (volatile uint8_t *at = stack; at < end; at++) *at = PAINT;
}

static void *run_job(void *argument) {
    job *const j = argument;
    const uint8_t *const caller = __builtin_frame_address(0);
    const uint8_t *lowest = j->stack;
    paint(j->stack);
    j->call(j->context);
    while (lowest < caller && *(const volatile uint8_t *)lowest == PAINT) lowest++;
    // Nothing left of the paint: the stack was used up, and may have been overrun.
    j->depth = lowest == j->stack ? 0 : (uint64_t)(caller - lowest);
    return NULL;
}

// A thread of its own, because the main thread's stack has no known end. What the thread touched before
// it painted is at most OWN_FRAME and a frame deep, so that the answer is never too small and hardly
// too great.
uint64_t r2b_port_stack(void (*call)(void *context), void *context) {
    void *stack = NULL;
    pthread_attr_t attributes;
    pthread_t thread;

    if (posix_memalign(&stack, 4096, STACK_BYTES) != 0) return 0;
    job j = {call, context, stack, 0};
    if (pthread_attr_init(&attributes) == 0) {
        if (pthread_attr_setstack(&attributes, stack, STACK_BYTES) == 0 &&
            pthread_create(&thread, &attributes, run_job, &j) == 0) {
            (void)pthread_join(thread, NULL);
        }
        (void)pthread_attr_destroy(&attributes);
    }
    free(stack);
    return j.depth;
}

#endif
