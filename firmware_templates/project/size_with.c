// SPDX-License-Identifier: MIT-0
//
// Flash and RAM by linking: what this program needs beyond size_without.c is what the model costs.
#include "r2b.h"

#include R2B_MODEL_HEADER

#include <stdalign.h>

static alignas(R2B_ARENA_ALIGNMENT) R2B_ARENA uint8_t arena[R2B_ARENA_BYTES];

int main(int argc, char **argv) {
    (void)argc;
    // The command line stands for the caller's buffers: this program is linked, never run.
    const r2b_io io = {(const void *const *)argv, (void *const *)argv};
    return (int)r2b_run(&R2B_MODEL, &io, arena, NULL);
}
