// SPDX-License-Identifier: MIT-0
//
// Runs generated models for tests/c: each request carries a whole arena, and the answer is the arena afterwards, so
// that a test sees every byte that a step touches.
//
// Request, native u32: model, mode + 256 * threads, first, last; then the arena's bytes. Answer: u32 status, the arena.
// With threads, 1 or more, tasks run in a pool of so many, with 0 without a pool.
//   mode 0: r2b_run_steps(first, last)
//   mode 1: r2b_run with buffers of its own; the inputs are taken from the arena that came, the outputs go into the
//           one that is sent back
//   mode 2: the steps first..last one by one, watched. After the arena comes u32 pattern, and then for each step u32
//           count and so many regions of the arena: u32 offset, bytes, flags. Before the step, all that is not KEPT is
//           filled with the pattern; while it runs, AddressSanitizer, where it is built in, traps at every access that
//           is neither in a READ nor in a WRITTEN region, and where TEST_MPU is defined the core does, if the access is
//           not within 32 bytes of such a region; after it, all that is not WRITTEN must be as before, else the program
//           says where and ends
#define _POSIX_C_SOURCE 200809L

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "r2b.h"
#ifdef __linux__
#include "pool.h"
#else
static const r2b_parallel *r2b_pool_open(uint32_t threads) {
    (void)threads;
    abort();
}
static void r2b_pool_close(const r2b_parallel *pool) {
    (void)pool;
}
#endif

extern const r2b_model *const test_models[];
extern const uint32_t test_model_count;

static void *must(void *block) {
    if (block == NULL) abort();
    return block;
}

static const r2b_parallel *must_pool(uint32_t threads) {
    const r2b_parallel *const pool = r2b_pool_open(threads);
    if (pool == NULL) abort();
    return pool;
}

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#elif defined(TEST_MPU)
#include "mpu.h"
#define ASAN_POISON_MEMORY_REGION(address, bytes) forbid_bytes(address, bytes)
#define ASAN_UNPOISON_MEMORY_REGION(address, bytes) allow_bytes()
#else
#define ASAN_POISON_MEMORY_REGION(address, bytes) ((void)(address), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(address, bytes) ((void)(address), (void)(bytes))
#endif

enum { KEPT = 1, READ = 2, WRITTEN = 4 };

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

static r2b_status run_buffered(const r2b_model *model, uint8_t *arena, uint8_t *image, const r2b_parallel *parallel) {
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
    const r2b_status status = r2b_run(model, &io, arena, parallel);
    memset(arena, 0xff, model->arena_bytes);
    for (uint32_t i = 0; i < model->output_count; i++) {
        const r2b_tensor *const t = &model->tensors[model->outputs[i]];
        if (status == R2B_OK) memcpy(arena + t->offset, outputs[i], t->bytes);
    }
    for (uint32_t i = 0; i < model->input_count; i++) {
        const r2b_tensor *const t = &model->tensors[model->inputs[i]];
        if (memcmp(inputs[i], image + t->offset, t->bytes) != 0) abort();  // the caller's inputs are his
        free((void *)(uintptr_t)inputs[i]);
    }
    for (uint32_t i = 0; i < model->output_count; i++) free(outputs[i]);
    free(inputs);
    free(outputs);
    return status;
}

// Marks each byte of the arena with the flags of the regions that it is in; false at a bad region.
static int read_regions(const r2b_model *model, uint8_t *marks) {
    uint32_t count;
    if (fread(&count, sizeof count, 1, stdin) != 1) return 0;
    memset(marks, 0, model->arena_bytes);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t region[3];
        if (fread(region, sizeof region, 1, stdin) != 1) return 0;
        if (region[0] > model->arena_bytes || region[1] > model->arena_bytes - region[0]) return 0;
        for (uint32_t k = 0; k < region[1]; k++) marks[region[0] + k] |= (uint8_t)region[2];
    }
    return 1;
}

// All ones, a NaN in float32, where the pattern is all ones; else bytes of a generator that the pattern seeds.
static void fill_dead(const r2b_model *model, uint8_t *arena, const uint8_t *marks, uint32_t pattern) {
    uint32_t state = pattern;
    for (uint32_t k = 0; k < model->arena_bytes; k++) {
        if (pattern != UINT32_MAX) state = state * 1664525u + 1013904223u;
        if (!(marks[k] & KEPT)) arena[k] = (uint8_t)(state >> 24);
    }
}

// Forbids all runs of bytes that are not marked as READ or WRITTEN; they begin and end where tensors do.
static void forbid(const r2b_model *model, uint8_t *arena, const uint8_t *marks) {
    (void)arena;
    for (uint32_t k = 0, end; k < model->arena_bytes; k = end) {
        const int allowed = (marks[k] & (READ | WRITTEN)) != 0;
        for (end = k; end < model->arena_bytes && ((marks[end] & (READ | WRITTEN)) != 0) == allowed; end++) {
        }
        if (!allowed) ASAN_POISON_MEMORY_REGION(arena + k, end - k);
    }
}

static uint32_t run_watched(const r2b_model *model, uint8_t *arena, uint32_t first, uint32_t last,
                            const r2b_parallel *parallel) {
    uint8_t *const marks = must(malloc(model->arena_bytes));
    uint8_t *const before = must(malloc(model->arena_bytes));
    uint32_t status = 0;
    uint32_t pattern;
    if (fread(&pattern, sizeof pattern, 1, stdin) != 1) abort();
    for (uint32_t i = first; i <= last && status == 0; i++) {
        if (!read_regions(model, marks)) abort();
        fill_dead(model, arena, marks, pattern);
        memcpy(before, arena, model->arena_bytes);
        forbid(model, arena, marks);
        status = (uint32_t)r2b_run_steps(model, arena, i, i, parallel);
        ASAN_UNPOISON_MEMORY_REGION(arena, model->arena_bytes);
        for (uint32_t k = 0; k < model->arena_bytes; k++) {
            if ((marks[k] & WRITTEN) || arena[k] == before[k]) continue;
            (void)fprintf(stderr, "step %u writes at %u\n", (unsigned)i, (unsigned)k);
            exit(5);
        }
    }
    free(marks);
    free(before);
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
        const uint32_t mode = request[1] % 256;
        const uint32_t threads = request[1] / 256;
        const r2b_parallel *const parallel = threads > 0 ? must_pool(threads) : NULL;
        if (mode == 0) {
            status = (uint32_t)r2b_run_steps(model, arena, request[2], request[3], parallel);
        } else if (mode == 2) {
            status = run_watched(model, arena, request[2], request[3], parallel);
        } else {
            uint8_t *const image = must(malloc(model->arena_bytes));
            memcpy(image, arena, model->arena_bytes);
            memset(arena, 0xff, model->arena_bytes);
            status = (uint32_t)run_buffered(model, arena, image, parallel);
            free(image);
        }
        if (fwrite(&status, sizeof status, 1, stdout) != 1) return 4;
        if (fwrite(arena, model->arena_bytes, 1, stdout) != 1) return 4;
        if (fflush(stdout) != 0) return 4;  // whoever asks one by one waits for it
        r2b_pool_close(parallel);
        free(p.block);
    }
    return 0;
}
