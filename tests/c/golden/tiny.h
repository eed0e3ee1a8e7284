// SPDX-License-Identifier: MIT-0
//
// tiny.h: the model's interface. Generated; changes belong into the model or the generator.
// tool: r2b-edge 0
// model sha256: 0123
// target: host
// options: none
#ifndef R2B_TINY_H
#define R2B_TINY_H

#include "r2b.h"

#ifdef __cplusplus
extern "C" {
#endif

#define R2B_TINY_ARENA_BYTES 336
#define R2B_TINY_ARENA_ALIGNMENT 16
#define R2B_TINY_STEP_COUNT 11
#define R2B_TINY_INPUT_COUNT 1
#define R2B_TINY_INPUT0_BYTES 192  // input, nhwc [4, 4, 3]
#define R2B_TINY_OUTPUT_COUNT 1
#define R2B_TINY_OUTPUT0_BYTES 40  // dense_4, nhwc [1, 1, 10]

extern const r2b_model r2b_tiny_model;

// r2b_run and r2b_run_steps on this model. `arena` holds R2B_TINY_ARENA_BYTES bytes, aligned to
// R2B_TINY_ARENA_ALIGNMENT.
r2b_status r2b_tiny_run(const r2b_io *io, void *arena, const r2b_parallel *parallel);
r2b_status r2b_tiny_run_steps(void *arena, uint32_t first, uint32_t last, const r2b_parallel *parallel);

#ifdef __cplusplus
}
#endif

#endif  // R2B_TINY_H
