#include "tiny.h"

#ifndef TINY_OVERRUN
#define TINY_OVERRUN 0
#endif

#ifndef TINY_FAULT
#define TINY_FAULT 0
#endif

#ifndef TINY_HANG
#define TINY_HANG 0
#endif

enum { COUNT = 4, STACK_USED = 5000 };

static void twice_one(void *arena, uint32_t index) {
    float *const values = arena;
    values[COUNT + index] = 2.0f * values[index];
}

static void twice(uint8_t *arena, const r2b_parallel *parallel) {
    if (TINY_FAULT) __builtin_trap();
    for (volatile int hang = TINY_HANG; hang != 0;) {
    }
    if (parallel != NULL) {
        parallel->run(parallel->pool, twice_one, arena, COUNT);
    } else {
        for (uint32_t i = 0; i < COUNT; i++) twice_one(arena, i);
    }
}

static void plus_one(uint8_t *arena, const r2b_parallel *parallel) {
    const float *const in = (const float *)(const void *)(arena + 16);
    float *const out = (float *)(void *)(arena + 32);
    volatile uint8_t deep[STACK_USED];  // so that a test knows how much stack there must be
    (void)parallel;
    for (int i = 0; i < STACK_USED; i++) deep[i] = (uint8_t)i;
    for (int i = 0; i < COUNT + TINY_OVERRUN; i++) out[i] = in[i % COUNT] + (deep[1] == 1 ? 1.0f : 0.0f);
}

static const r2b_tensor tensors[3] = {
    {0, 16, R2B_FLOAT32, R2B_LAYOUT_NHWC, {1, 1, COUNT}, 1.0f, 0},
    {16, 16, R2B_FLOAT32, R2B_LAYOUT_NHWC, {1, 1, COUNT}, 1.0f, 0},
    {32, 16, R2B_FLOAT32, R2B_LAYOUT_NHWC, {1, 1, COUNT}, 1.0f, 0},
};
static const uint16_t index0 = 0;
static const uint16_t index1 = 1;
static const uint16_t index2 = 2;
static const r2b_step steps[2] = {{twice, &index0, &index1, 1, 1}, {plus_one, &index1, &index2, 1, 1}};

const r2b_model r2b_tiny_model = {
    .tensors = tensors,
    .steps = steps,
    .inputs = &index0,
    .outputs = &index2,
    .tensor_count = 3,
    .step_count = 2,
    .input_count = 1,
    .output_count = 1,
    .arena_bytes = R2B_TINY_ARENA_BYTES,
    .arena_alignment = R2B_TINY_ARENA_ALIGNMENT,
    .hash = "0123456789abcde",
};
