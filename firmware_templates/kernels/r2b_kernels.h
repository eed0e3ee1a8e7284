// SPDX-License-Identifier: MIT-0
//
// r2b_kernels.h: the kernels that a generated model calls, one a step, and the epilogue that each of them runs.
//
// Rules for every kernel:
//  - It allocates nothing, keeps no state and calls no libm; sizes are known when the model is generated.
//  - It reads and writes the arena only. `input`, `at` and `work` are byte offsets in it; tensors and workspaces start
//    at multiples of the model's arena_alignment (16 or more). Nothing is read beyond a tensor's last byte.
//  - Its tensors lie as r2b.h says: maps as float32 NHWC or as BITS32. Integers (the dot products) are held as float32,
//    which is exact below 2^24.
//  - Sizes are positive; every index fits in int32_t: the generator refuses an arena of 2^31 bytes.
//  - `parallel` may be null. The portable kernels run on the calling thread, whatever it offers.
#ifndef R2B_KERNELS_H
#define R2B_KERNELS_H

#include "r2b.h"

#ifdef __cplusplus
extern "C" {
#endif

// ---- epilogue ------------------------------------------------------------------------------------------------------
//
// A kernel computes its map pixel by pixel, in raster order. One pixel's values, float [channels], are a tile; on each
// tile the epilogue runs its operations in order. So a value is read, changed and written once, whatever follows the
// convolution. An operation with a map operand reads it at the pixel before any later operation writes there: a result
// may take the place of an operand that was read before it (skips in place).
typedef enum {
    R2B_TILE_AFFINE,      // t = a[c] * t + b[c]
    R2B_TILE_PRELU,       // t = t >= 0 ? t : a[c] * t
    R2B_TILE_CLIP,        // t = min(max(t, low), high)
    R2B_TILE_SIGMOID,     // t = 1 / (1 + exp(-t)), see r2b_epilogue.c for its error
    R2B_TILE_ADD_MAP,     // t += operand[pixel][c]
    R2B_TILE_MUL_MAP,     // t *= operand[pixel][c]
    R2B_TILE_ADD_VECTOR,  // t += operand[c]
    R2B_TILE_MUL_VECTOR,  // t *= operand[c], a gate
    R2B_TILE_STORE,       // result[pixel][c] = t
    R2B_TILE_BITS,        // result[pixel], BITS32: bit c = (t < a[c]) ^ bit c of flip
    R2B_TILE_MEAN,        // result[c] = mean of t over all pixels; `work`: float [channels]
} r2b_tile_kind;

typedef struct {
    r2b_tile_kind kind;
    const float *a;        // [channels]
    const float *b;        // [channels]
    const uint32_t *flip;  // [ceil(channels / 32)], 0 beyond the last channel; null: 0 everywhere
    float low;             // -infinity where there is no bound
    float high;            // +infinity where there is no bound
    uint32_t at;           // arena offset of the operand or of the result
    uint32_t work;         // arena offset of the row sums of a mean
} r2b_tile_op;

typedef struct {
    const r2b_tile_op *ops;
    int32_t count;
    int32_t pixels;    // of the whole map
    int32_t channels;  // of a tile
} r2b_epilogue;

// For kernels: begin, then one r2b_epilogue_tile a pixel with r2b_epilogue_row after each row, then end.
// The tile is changed; it must not overlap anything else.
void r2b_epilogue_begin(const r2b_epilogue *epilogue, uint8_t *arena);
void r2b_epilogue_tile(const r2b_epilogue *epilogue, uint8_t *arena, int32_t pixel, float *tile);
void r2b_epilogue_row(const r2b_epilogue *epilogue, uint8_t *arena);
void r2b_epilogue_end(const r2b_epilogue *epilogue, uint8_t *arena);

// 1 / (1 + exp(-x)), the function behind R2B_TILE_SIGMOID.
float r2b_sigmoid(float x);

// ---- windows -------------------------------------------------------------------------------------------------------

// A window that slides over a map. Output pixel (y, x) reads input pixels
// (y * stride_y - pad_top + ky * dilation_y, x * stride_x - pad_left + kx * dilation_x).
typedef struct {
    int32_t in_height;
    int32_t in_width;
    int32_t in_channels;
    int32_t out_height;
    int32_t out_width;
    int32_t out_channels;
    int32_t kernel_y;
    int32_t kernel_x;
    int32_t stride_y;
    int32_t stride_x;
    int32_t dilation_y;
    int32_t dilation_x;
    int32_t pad_top;
    int32_t pad_left;
} r2b_window;

// The taps first <= k < last of one axis whose inputs origin + k * dilation lie in 0..size - 1.
typedef struct {
    int32_t first;
    int32_t last;
} r2b_taps;

static inline r2b_taps r2b_taps_inside(int32_t origin, int32_t size, int32_t kernel, int32_t dilation) {
    r2b_taps taps = {0, 0};
    if (origin < 0) taps.first = (dilation - 1 - origin) / dilation;
    if (origin < size) taps.last = (size - origin + dilation - 1) / dilation;
    if (taps.last > kernel) taps.last = kernel;
    if (taps.first > taps.last) taps.first = taps.last;
    return taps;
}

// a * b + sum, rounded once where the machine has the instruction (half the instructions), else twice.
static inline float r2b_multiply_add(float a, float b, float sum) {
#if defined(__FP_FAST_FMAF) || defined(__ARM_FEATURE_FMA)
    return __builtin_fmaf(a, b, sum);
#else
    return a * b + sum;
#endif
}

// ---- kernels -------------------------------------------------------------------------------------------------------

// Binary convolution: the exact dot products of BITS32 input and binary weights, at most 2^24 - 1 taps each.
typedef struct {
    r2b_window window;
    int32_t groups;
    int32_t pad_value;        // what the border holds: -1, 0 or +1
    const uint32_t *weights;  // [out_channels][kernel_y][kernel_x][ceil(in_channels / groups / 32)], as BITS32
    uint32_t input;           // BITS32
    uint32_t work;            // float [out_channels], rounded up to 16 bytes; then uint32_t, as many as one
                              // output channel has weight words
} r2b_bconv;

void r2b_bconv_portable(const r2b_bconv *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                        const r2b_parallel *parallel);

// Convolution in float32 with zero padding.
typedef struct {
    r2b_window window;
    int32_t groups;
    const float *weights;  // [kernel_y][kernel_x][in_channels / groups][out_channels]
    const float *bias;     // [out_channels]
    uint32_t input;        // NHWC
    uint32_t work;         // float [out_channels]
} r2b_fconv;

void r2b_fconv_portable(const r2b_fconv *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                        const r2b_parallel *parallel);

// y = weights x + bias on a vector.
typedef struct {
    int32_t in_channels;
    int32_t out_channels;
    const float *weights;  // [out_channels][in_channels]
    const float *bias;     // [out_channels]
    uint32_t input;        // float [in_channels]
    uint32_t work;         // float [out_channels]
} r2b_dense;

void r2b_dense_portable(const r2b_dense *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                        const r2b_parallel *parallel);

// Pools. The border never wins a maximum; it counts in a mean if count_pad is 1 (as zeros), else it does not.
typedef struct {
    r2b_window window;
    int32_t count_pad;  // mean only
    uint32_t input;     // NHWC
    uint32_t work;      // float [channels]
} r2b_pool;

void r2b_maxpool_portable(const r2b_pool *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                          const r2b_parallel *parallel);
void r2b_avgpool_portable(const r2b_pool *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                          const r2b_parallel *parallel);

// The epilogue alone, on a stored map or vector; a result may take its input's place.
typedef struct {
    int32_t height;
    int32_t width;
    int32_t channels;
    uint32_t input;  // NHWC
    uint32_t work;   // float [channels]
} r2b_map;

void r2b_map_portable(const r2b_map *layer, const r2b_epilogue *epilogue, uint8_t *arena, const r2b_parallel *parallel);

#ifdef __cplusplus
}
#endif

#endif  // R2B_KERNELS_H
