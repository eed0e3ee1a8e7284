// SPDX-License-Identifier: MIT-0
//
// r2b_epilogue.h: what a kernel does with each pixel that it has computed.
//
// A kernel computes its map pixel by pixel, in raster order. One pixel's values, float [channels], are a tile; on each
// tile the epilogue runs its operations in order. So a value is read, changed and written once, whatever follows the
// convolution. An operation with a map operand reads it at the pixel before any later operation writes there: a result
// may take the place of an operand that was read before it (skips in place).
#ifndef R2B_EPILOGUE_H
#define R2B_EPILOGUE_H

#include "r2b.h"

#ifdef __cplusplus
extern "C" {
#endif

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
    R2B_TILE_BITS128,     // the same, BITS128, of a map `count` pixels wide
    R2B_TILE_MEAN,        // result[c] = mean of t over all pixels; `work`: float [2 * tasks - 1][channels]
    R2B_TILE_CALL,        // t = call(t), one of the functions below: what is not called is not linked
} r2b_tile_kind;

// What the second operand of a function of two holds: a value for each channel of each pixel, for each channel, for
// each pixel, or a single one.
typedef enum { R2B_EVERYWHERE, R2B_BY_CHANNEL, R2B_BY_PIXEL, R2B_SINGLE } r2b_operand;

typedef struct r2b_tile_op {
    r2b_tile_kind kind;
    const float *a;        // [channels]
    const float *b;        // [channels]
    const uint32_t *flip;  // [ceil(channels / 32)], 0 beyond the last channel; null: 0 everywhere
    float low;             // -infinity where there is no bound
    float high;            // +infinity where there is no bound
    uint32_t at;           // arena offset of the operand or of the result
    uint32_t work;         // arena offset of the row sums of a mean
    int32_t count;         // CALL of stairs: thresholds of a channel; BITS128: pixels of a row
    r2b_operand operand;   // CALL: how `a`, or the tensor at `at` where `a` is null, is read
    void (*call)(const struct r2b_tile_op *op, uint8_t *arena, int32_t pixel, float *tile, int32_t channels);
} r2b_tile_op;

typedef struct {
    const r2b_tile_op *ops;
    int32_t count;
    int32_t pixels;    // of the whole map
    int32_t channels;  // of a tile
    int32_t first;     // of a part of the map (see r2b_part): pixels before it
    uint8_t more;      // 1 if the map is not complete after it
    uint8_t begun;     // 1 if its task has computed a part before it
    uint16_t task;     // of those that share the map's rows: counted from 0
} r2b_epilogue;

// For kernels: begin, then the tiles of all pixels, of one or of `count` neighbours in a row at a time, float
// [count][channels], with r2b_epilogue_row after each row, then end. `pixel` counts from 0 in a part of a map, too. The
// tiles are changed; they must not overlap anything else, except that they may lie where r2b_epilogue_place says.
R2B_HOT_CODE void r2b_epilogue_begin(const r2b_epilogue *epilogue, uint8_t *arena);
R2B_HOT_CODE void r2b_epilogue_tiles(const r2b_epilogue *epilogue, uint8_t *arena, int32_t pixel, int32_t count,
                                     float *tiles);
static inline void r2b_epilogue_tile(const r2b_epilogue *epilogue, uint8_t *arena, int32_t pixel, float *tile) {
    r2b_epilogue_tiles(epilogue, arena, pixel, 1, tile);
}
R2B_HOT_CODE void r2b_epilogue_row(const r2b_epilogue *epilogue, uint8_t *arena);
R2B_HOT_CODE void r2b_epilogue_end(const r2b_epilogue *epilogue, uint8_t *arena);

// After all tasks that share a map's rows: what `end` does after a whole map.
R2B_HOT_CODE void r2b_epilogue_join(const r2b_epilogue *epilogue, uint8_t *arena, int32_t tasks);

// Arena offsets of a mean's sums, float [channels] each: a task's current row and its rows before. The tasks' are added
// in their order, so that the mean is the same whichever comes first. Task 0 has its rows in the result.
static inline uint32_t r2b_row_sums(const r2b_tile_op *mean, int32_t channels, uint32_t task) {
    return mean->work + 8u * task * (uint32_t)channels;
}
static inline uint32_t r2b_total(const r2b_tile_op *mean, int32_t channels, uint32_t task) {
    return task == 0 ? mean->at : mean->work + (8u * task - 4u) * (uint32_t)channels;
}

// The map that the epilogue stores, or the part of it, float [pixels][channels], if each tile may be made there, at its
// pixel, and need not be copied: nothing changes the tile after the last STORE, and no operand lies there. Else null.
R2B_HOT_CODE float *r2b_epilogue_place(const r2b_epilogue *epilogue, uint8_t *arena);

// 1 / (1 + exp(-x)), the function behind R2B_TILE_SIGMOID.
R2B_HOT_CODE float r2b_sigmoid(float x);

// Functions of one tile for R2B_TILE_CALL, see r2b_math.h for their errors. The softmax is over the channels.
R2B_HOT_CODE void r2b_call_abs(const r2b_tile_op *op, uint8_t *arena, int32_t pixel, float *tile, int32_t channels);
R2B_HOT_CODE void r2b_call_ceil(const r2b_tile_op *op, uint8_t *arena, int32_t pixel, float *tile, int32_t channels);
R2B_HOT_CODE void r2b_call_elu(const r2b_tile_op *op, uint8_t *arena, int32_t pixel, float *tile, int32_t channels);
R2B_HOT_CODE void r2b_call_exp(const r2b_tile_op *op, uint8_t *arena, int32_t pixel, float *tile, int32_t channels);
R2B_HOT_CODE void r2b_call_floor(const r2b_tile_op *op, uint8_t *arena, int32_t pixel, float *tile, int32_t channels);
R2B_HOT_CODE void r2b_call_gelu(const r2b_tile_op *op, uint8_t *arena, int32_t pixel, float *tile, int32_t channels);
R2B_HOT_CODE void r2b_call_hardswish(const r2b_tile_op *op, uint8_t *arena, int32_t pixel, float *tile,
                                     int32_t channels);
R2B_HOT_CODE void r2b_call_log(const r2b_tile_op *op, uint8_t *arena, int32_t pixel, float *tile, int32_t channels);
R2B_HOT_CODE void r2b_call_reciprocal(const r2b_tile_op *op, uint8_t *arena, int32_t pixel, float *tile,
                                      int32_t channels);
R2B_HOT_CODE void r2b_call_round(const r2b_tile_op *op, uint8_t *arena, int32_t pixel, float *tile, int32_t channels);
R2B_HOT_CODE void r2b_call_softplus(const r2b_tile_op *op, uint8_t *arena, int32_t pixel, float *tile,
                                    int32_t channels);
R2B_HOT_CODE void r2b_call_sqrt(const r2b_tile_op *op, uint8_t *arena, int32_t pixel, float *tile, int32_t channels);
R2B_HOT_CODE void r2b_call_tanh(const r2b_tile_op *op, uint8_t *arena, int32_t pixel, float *tile, int32_t channels);
R2B_HOT_CODE void r2b_call_softmax(const r2b_tile_op *op, uint8_t *arena, int32_t pixel, float *tile, int32_t channels);
R2B_HOT_CODE void r2b_call_logsoftmax(const r2b_tile_op *op, uint8_t *arena, int32_t pixel, float *tile,
                                      int32_t channels);

// t = b[k][c], k the thresholds of channel c that are <= t; a: [count][channels], ascending; b: [count + 1][channels].
R2B_HOT_CODE void r2b_call_stairs(const r2b_tile_op *op, uint8_t *arena, int32_t pixel, float *tile, int32_t channels);

// Functions of a tile and an operand; rsub and rdiv are operand - t and operand / t.
R2B_HOT_CODE void r2b_call_add(const r2b_tile_op *op, uint8_t *arena, int32_t pixel, float *tile, int32_t channels);
R2B_HOT_CODE void r2b_call_sub(const r2b_tile_op *op, uint8_t *arena, int32_t pixel, float *tile, int32_t channels);
R2B_HOT_CODE void r2b_call_rsub(const r2b_tile_op *op, uint8_t *arena, int32_t pixel, float *tile, int32_t channels);
R2B_HOT_CODE void r2b_call_mul(const r2b_tile_op *op, uint8_t *arena, int32_t pixel, float *tile, int32_t channels);
R2B_HOT_CODE void r2b_call_div(const r2b_tile_op *op, uint8_t *arena, int32_t pixel, float *tile, int32_t channels);
R2B_HOT_CODE void r2b_call_rdiv(const r2b_tile_op *op, uint8_t *arena, int32_t pixel, float *tile, int32_t channels);
R2B_HOT_CODE void r2b_call_max(const r2b_tile_op *op, uint8_t *arena, int32_t pixel, float *tile, int32_t channels);
R2B_HOT_CODE void r2b_call_min(const r2b_tile_op *op, uint8_t *arena, int32_t pixel, float *tile, int32_t channels);

#ifdef __cplusplus
}
#endif

#endif  // R2B_EPILOGUE_H
