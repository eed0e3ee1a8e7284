// SPDX-License-Identifier: MIT-0
//
// r2b_fconv_neon.c: convolution and dense layer in float32 for AArch64.
//
// 4 pixels x 16 output channels, two blocks, in v0-v15. v24-v27 hold four values of each pixel; v16-v19 and v28-v31 the
// weights of two of the four and 8 channels of the first block, v20-v23 those of the second. Four steps take 4 + 8
// loads and 64 FMLA, with the loop's own two instructions 74 for 256 multiply-adds. The last block of an odd number
// goes alone, and so does a pixel at the border. Of a dense layer, one pixel, all weights are read once.
#include "r2b_kernels.h"

enum { PIXELS = 4, LINE = 32 };

#include "r2b_fconv_blocks.h"

#define FMLA(sum, w, x, i) "fmla v" #sum ".4s, v" #w ".4s, v" #x ".s[" #i "]\n\t"
#define LD1X4(first, last, w) "ld1 {v" #first ".4s-v" #last ".4s}, [%[" #w "]], #64\n\t"
#define LD1X2(first, last, w) "ld1 {v" #first ".4s, v" #last ".4s}, [%[" #w "]], #32\n\t"
// Element i of x, all of whose sums are a, b (first block) and c, d (second).
#define TWO_BLOCKS(a, b, c, d, x, i, w0, w1, w2, w3) \
    FMLA(a, w0, x, i) FMLA(b, w1, x, i) FMLA(c, w2, x, i) FMLA(d, w3, x, i)
#define ONE_BLOCK(a, b, x, i, w0, w1) FMLA(a, w0, x, i) FMLA(b, w1, x, i)
// Element i of all 4 pixels.
#define WIDE(i, w0, w1, w2, w3)                   \
    TWO_BLOCKS(0, 1, 2, 3, 24, i, w0, w1, w2, w3) \
    TWO_BLOCKS(4, 5, 6, 7, 25, i, w0, w1, w2, w3) \
    TWO_BLOCKS(8, 9, 10, 11, 26, i, w0, w1, w2, w3) TWO_BLOCKS(12, 13, 14, 15, 27, i, w0, w1, w2, w3)
#define NARROW(i, w0, w1)          \
    ONE_BLOCK(0, 1, 24, i, w0, w1) \
    ONE_BLOCK(4, 5, 25, i, w0, w1) ONE_BLOCK(8, 9, 26, i, w0, w1) ONE_BLOCK(12, 13, 27, i, w0, w1)
#define X4(how, step)                                                                                          \
    "ldr " how "24, [%[x0]], #" step "\n\tldr " how "25, [%[x1]], #" step "\n\tldr " how "26, [%[x2]], #" step \
    "\n\tldr " how "27, [%[x3]], #" step "\n\t"
#define X1(how, step) "ldr " how "24, [%[x0]], #" step "\n\t"
#define NEXT_X4                                                                                                       \
    "add %[x0], %[x0], %[next_x]\n\tadd %[x1], %[x1], %[next_x]\n\tadd %[x2], %[x2], %[next_x]\n\tadd %[x3], %[x3], " \
    "%[next_x]\n\t"
#define NEXT_X1 "add %[x0], %[x0], %[next_x]\n\t"
#define NEXT_W1 "add %[w0], %[w0], %[next_w]\n\t"
#define NEXT_W2 NEXT_W1 "add %[w1], %[w1], %[next_w]\n\t"

// The loop over `rows` > 0 runs of `run` > 0 floats, by fours and then one by one.
#define LOOP(four, single, next)      \
    "1:\n\t"                          \
    "subs %w[n], %w[run], #4\n\t"     \
    "b.lt 3f\n"                       \
    "2:\n\t" four                     \
    "subs %w[n], %w[n], #4\n\t"       \
    "b.ge 2b\n"                       \
    "3:\n\t"                          \
    "adds %w[n], %w[n], #4\n\t"       \
    "b.eq 5f\n"                       \
    "4:\n\t" single                   \
    "subs %w[n], %w[n], #1\n\t"       \
    "b.ne 4b\n"                       \
    "5:\n\t" next                     \
    "subs %w[rows], %w[rows], #1\n\t" \
    "b.ne 1b\n\t"
#define CLOBBERED                                                                                                      \
    "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", "v16",       \
        "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31", "cc", \
        "memory"
#define MOVE(to, from) "mov v" #to ".16b, v" #from ".16b\n\t"

// What a loop works on: `count` = 1 or PIXELS pixels, 1 or 2 blocks. Distances in bytes.
typedef struct {
    const float *x;
    const uint8_t *w;
    const float *bias;
    float *to;
    int64_t pixel_x;
    int64_t block;   // from a block's weights to the next's
    int64_t pitch;   // from a pixel's results to the next pixel's
    int64_t next_x;  // from the end of a run to the next
    int64_t next_w;
    int32_t rows;
    int32_t run;
} job;

typedef void (*loop)(const job *j);

#define NAME(loop) loop
#define W4(a, b, c, d, w) LD1X4(a, d, w)
#define W2(a, b, w) LD1X2(a, b, w)
#include "r2b_fconv_neon_loops.h"
#undef NAME
#undef W4
#undef W2

#define NAME(loop) loop##_half
#define WIDEN(v) "fcvtl v" #v ".4s, v" #v ".4h\n\t"
#define W4(a, b, c, d, w) "ld1 {v" #a ".4h-v" #d ".4h}, [%[" #w "]], #32\n\t" WIDEN(a) WIDEN(b) WIDEN(c) WIDEN(d)
#define W2(a, b, w) "ld1 {v" #a ".4h, v" #b ".4h}, [%[" #w "]], #16\n\t" WIDEN(a) WIDEN(b)
#include "r2b_fconv_neon_loops.h"

static inline __attribute__((always_inline)) void r2b_fconv_line(const r2b_fconv_row *line, int half) {
    const int32_t bytes = half ? 2 : 4;  // of a weight
    for (int32_t b = 0; b < line->blocks; b += 2) {
        const int two = b + 1 < line->blocks;
        float *to = line->to + b * 8;
        for (int32_t i = 0; i < line->count; i++) {
            const r2b_fconv_group *const group = &line->groups[i];
            const job j = {
                .x = group->x,
                .w = line->weights + (b * line->block + group->tap * 8) * bytes,
                .bias = line->bias + b * 8,
                .to = to,
                .pixel_x = (int64_t)line->pixel_x * 4,
                .block = (int64_t)line->block * bytes,
                .pitch = (int64_t)line->pitch * 4,
                .next_x = (int64_t)(line->next_x - group->run) * 4,
                .next_w = (int64_t)(line->taps - group->run) * 8 * bytes,
                .rows = line->rows,
                .run = group->run,
            };
            if (line->rows <= 0 || group->run <= 0) {
                memcpy(to, j.bias, (two ? 16 : 8) * sizeof *to);
            } else {
                (half ? LOOPS_half : LOOPS)[group->pixels == PIXELS][two](&j);
            }
            to += group->pixels * line->pitch;
        }
    }
}

void r2b_fconv_neon(const r2b_fconv_blocks *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                    const r2b_parallel *parallel) {
    (void)parallel;
    r2b_fconv_blocks_run(layer, epilogue, arena, 0, 0);
}

void r2b_fconv_neon_half(const r2b_fconv_blocks *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                         const r2b_parallel *parallel) {
    (void)parallel;
    r2b_fconv_blocks_run(layer, epilogue, arena, 1, 0);
}

void r2b_fconv_bytes_neon(const r2b_fconv_blocks *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                          const r2b_parallel *parallel) {
    (void)parallel;
    r2b_fconv_blocks_run(layer, epilogue, arena, 0, 1);
}

void r2b_fconv_bytes_neon_half(const r2b_fconv_blocks *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                               const r2b_parallel *parallel) {
    (void)parallel;
    r2b_fconv_blocks_run(layer, epilogue, arena, 1, 1);
}

typedef struct {
    const r2b_dense *layer;
    uint8_t *arena;
} dense_job;

R2B_HOT_CODE static void dense_task(void *context, uint32_t index) {
    const dense_job *const j = context;
    r2b_dense_blocks_share(j->layer, j->arena, j->layer->tasks, (int32_t)index, 0);
}

R2B_HOT_CODE static void dense_task_half(void *context, uint32_t index) {
    const dense_job *const j = context;
    r2b_dense_blocks_share(j->layer, j->arena, j->layer->tasks, (int32_t)index, 1);
}

void r2b_dense_neon(const r2b_dense *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                    const r2b_parallel *parallel) {
    dense_job j = {layer, arena};
    r2b_for_all(parallel, dense_task, &j, (uint32_t)layer->tasks);
    r2b_dense_blocks_finish(layer, epilogue, arena);
}

void r2b_dense_neon_half(const r2b_dense *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                         const r2b_parallel *parallel) {
    dense_job j = {layer, arena};
    r2b_for_all(parallel, dense_task_half, &j, (uint32_t)layer->tasks);
    r2b_dense_blocks_finish(layer, epilogue, arena);
}
