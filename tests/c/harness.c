// SPDX-License-Identifier: MIT-0
//
// Runs generated models for tests/c: each request carries a whole arena, and the answer is the arena afterwards, so
// that a test sees every byte that a step touches.
//
// Request, native u32: model, mode, first, last; then the arena's bytes. Answer: u32 status, the arena.
//   mode 0: r2b_run_steps(first, last)
//   mode 1: r2b_run with buffers of its own; the inputs are taken from the arena that came, the outputs go into the
//           one that is sent back
#define _POSIX_C_SOURCE 200809L

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "r2b.h"

extern const r2b_model *const test_models[];
extern const uint32_t test_model_count;

static void *must(void *block) {
    if (block == NULL) abort();
    return block;
}

typedef struct {
    void *block;
    uint8_t *arena;  // aligned to the model's alignment and to no greater power of two; ends where the block ends
} place;

static place place_for(const r2b_model *model) {
    place p = {NULL, NULL};
    const size_t alignment = model->arena_alignment;
    if (posix_memalign(&p.block, 2 * alignment, alignment + model->arena_bytes) != 0) abort();
    p.arena = (uint8_t *)p.block + alignment;
    return p;
}

static r2b_status run_buffered(const r2b_model *model, uint8_t *arena, uint8_t *image) {
    const void **inputs = must(calloc(model->input_count, sizeof *inputs));
    void **outputs = must(calloc(model->output_count, sizeof *outputs));
    for (uint32_t i = 0; i < model->input_count; i++) {
        const r2b_tensor *const t = &model->tensors[model->inputs[i]];
        void *const copy = must(malloc(t->bytes));
        memcpy(copy, image + t->offset, t->bytes);
        inputs[i] = copy;
    }
    for (uint32_t i = 0; i < model->output_count; i++) {
        outputs[i] = must(malloc(model->tensors[model->outputs[i]].bytes));
    }
    const r2b_io io = {inputs, outputs};
    const r2b_status status = r2b_run(model, &io, arena, NULL);
    memset(arena, 0xff, model->arena_bytes);
    for (uint32_t i = 0; i < model->output_count; i++) {
        const r2b_tensor *const t = &model->tensors[model->outputs[i]];
        if (status == R2B_OK) memcpy(arena + t->offset, outputs[i], t->bytes);
    }
    for (uint32_t i = 0; i < model->input_count; i++) free((void *)(uintptr_t)inputs[i]);
    for (uint32_t i = 0; i < model->output_count; i++) free(outputs[i]);
    free(inputs);
    free(outputs);
    return status;
}

int main(void) {
    uint32_t request[4];
    while (fread(request, sizeof request, 1, stdin) == 1) {
        if (request[0] >= test_model_count) return 2;
        const r2b_model *const model = test_models[request[0]];
        const place p = place_for(model);
        uint8_t *const arena = p.arena;
        if (fread(arena, model->arena_bytes, 1, stdin) != 1) return 3;
        uint32_t status;
        if (request[1] == 0) {
            status = (uint32_t)r2b_run_steps(model, arena, request[2], request[3], NULL);
        } else {
            uint8_t *const image = must(malloc(model->arena_bytes));
            memcpy(image, arena, model->arena_bytes);
            memset(arena, 0xff, model->arena_bytes);
            status = (uint32_t)run_buffered(model, arena, image);
            free(image);
        }
        if (fwrite(&status, sizeof status, 1, stdout) != 1) return 4;
        if (fwrite(arena, model->arena_bytes, 1, stdout) != 1) return 4;
        free(p.block);
    }
    return fflush(stdout) == 0 ? 0 : 4;
}
