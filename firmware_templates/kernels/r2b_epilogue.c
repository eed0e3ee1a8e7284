// SPDX-License-Identifier: MIT-0
//
// r2b_epilogue.c: the tile operations, in plain C. See r2b_kernels.h.
#include <string.h>

#include "r2b_kernels.h"
#include "r2b_math.h"
#ifdef __aarch64__
#include <arm_neon.h>
#endif

// Error at most 3 ulp for x >= -87 (tests/c measures it); below, the result stays at that of -87, which is 1.6e-38.
float r2b_sigmoid(float x) {
    const float y = x >= -87.0f ? (x > 87.0f ? 87.0f : x) : -87.0f;  // a NaN becomes -87: exp_small needs a number
    const float value = 1.0f / (1.0f + exp_small(-y));
    return x == x ? value : x;
}

// A Cortex-M sets a bit by one conditional instruction where its place is a constant, so the loop is unrolled for it;
// others compare 4 values at once.
#if defined(__thumb__) && defined(__ARM_FP) && !defined(__clang__)
#define UNROLLED _Pragma("GCC unroll 32")
#else
#define UNROLLED
#endif

// 32 bits, 1 where a value lies below its threshold.
static inline uint32_t pack_32(const float *restrict t, const float *restrict threshold) {
#ifdef __aarch64__  // a mask narrowed to a byte for each channel, of which each keeps its bit; then 8 bytes become one
    static const uint8_t VALUES[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    uint16x8_t half[4];
    for (int32_t i = 0; i < 4; i++) {
        const uint32x4_t low = vcltq_f32(vld1q_f32(t + 8 * i), vld1q_f32(threshold + 8 * i));
        const uint32x4_t high = vcltq_f32(vld1q_f32(t + 8 * i + 4), vld1q_f32(threshold + 8 * i + 4));
        half[i] = vuzp1q_u16(vreinterpretq_u16_u32(low), vreinterpretq_u16_u32(high));
    }
    const uint8x16_t values = vld1q_u8(VALUES);
    const uint8x16_t a = vuzp1q_u8(vreinterpretq_u8_u16(half[0]), vreinterpretq_u8_u16(half[1]));
    const uint8x16_t b = vuzp1q_u8(vreinterpretq_u8_u16(half[2]), vreinterpretq_u8_u16(half[3]));
    uint8x16_t sums = vpaddq_u8(vandq_u8(a, values), vandq_u8(b, values));
    sums = vpaddq_u8(sums, sums);
    return vgetq_lane_u32(vreinterpretq_u32_u8(vpaddq_u8(sums, sums)), 0);
#else
    uint32_t word = 0;
    UNROLLED
    for (int32_t i = 0; i < 32; i++) word |= t[i] < threshold[i] ? 1u << i : 0u;
    return word;
#endif
}

// Channels first.. of a tile as one word of bits; those beyond the last channel are 0.
static inline uint32_t pack_word(const r2b_tile_op *op, const float *restrict tile, int32_t channels, int32_t first) {
    const float *restrict threshold = op->a + first;
    const float *restrict t = tile + first;
    uint32_t word = 0;
    if (first + 32 <= channels) {
        word = pack_32(t, threshold);
    } else {
        for (int32_t i = 0; first + i < channels; i++) word |= t[i] < threshold[i] ? 1u << i : 0u;
    }
    return word ^ (op->flip ? op->flip[first / 32] : 0u);
}

static void pack_bits(const r2b_tile_op *op, uint32_t *restrict words, const float *restrict tile, int32_t channels) {
    for (int32_t c = 0; c < channels; c += 32) words[c / 32] = pack_word(op, tile, channels, c);
}

// `map` is the whole result, `pixel` counts row by row.
static void pack_bits128(const r2b_tile_op *op, uint32_t *restrict map, int32_t pixel, const float *restrict tile,
                         int32_t channels) {
    const int32_t width = op->count;
    const int32_t chunks = (channels + 127) / 128;
    uint32_t *words = map + (pixel / width * chunks * width + pixel % width) * 4;
    for (int32_t c = 0; c < 128 * chunks; c += 32) {
        words[c / 32 % 4] = c < channels ? pack_word(op, tile, channels, c) : 0u;
        if (c % 128 == 96) words += 4 * width;
    }
    words -= 4 * width;
    if (channels <= 32) words[1] = words[0];
    if (channels <= 64) memcpy(words + 2, words, 2 * sizeof *words);
}

// Pixels of a map of few channels are too short for a vector, unless their number is a constant.
static inline void scale(const r2b_tile_op *op, float *restrict t, int32_t count, int32_t channels) {
    const float *const restrict a = op->a;
    const float *const restrict b = op->b;
    for (int32_t p = 0; p < count; p++, t += channels) {
        for (int32_t c = 0; c < channels; c++) t[c] = a[c] * t[c] + b[c];
    }
}

// x >= 0 ? x : slope * x, but for the sign of a zero. Without a branch around the product four go at once; a Cortex-M
// is better off with the branch.
static inline float leaky(float x, float slope) {
#ifdef __thumb__
    return x >= 0 ? x : slope * x;
#else
    const float above = x >= 0 ? x : 0.0f;
    const float below = x >= 0 ? 0.0f : x;
    return above + slope * below;
#endif
}

static inline float between(float x, float low, float high) {
    const float raised = x < low ? low : x;
    return raised > high ? high : raised;
}

// Where there are vectors, by 16: the loop costs as much as a vector.
static void clip(const r2b_tile_op *op, float *restrict t, int32_t count) {
    const float low = op->low;
    const float high = op->high;
    int32_t i = 0;
#ifndef __thumb__
    for (; i + 16 <= count; i += 16) {
        for (int32_t k = i; k < i + 16; k++) t[k] = between(t[k], low, high);
    }
#endif
    for (; i < count; i++) t[i] = between(t[i], low, high);
}

// For each pixel and channel: own[c] is its value; for each value of all pixels, where the channel does not matter:
// t[i].
#define BY_CHANNEL(statement)                             \
    for (int32_t p = 0; p < count; p++) {                 \
        float *const restrict own = tiles + p * channels; \
        for (int32_t c = 0; c < channels; c++) statement; \
    }
#define BY_VALUE(statement) \
    for (int32_t i = 0; i < count * channels; i++) statement

void r2b_epilogue_tiles(const r2b_epilogue *epilogue, uint8_t *arena, int32_t pixel, int32_t count, float *tiles) {
    const int32_t channels = epilogue->channels;
    pixel += epilogue->first;
    for (int32_t k = 0; k < epilogue->count; k++) {
        const r2b_tile_op *const op = &epilogue->ops[k];
        const float *const restrict a = op->a;
        float *const restrict at = (float *)(void *)(arena + op->at);
        float *const restrict m = at + pixel * channels;
        float *const restrict t = tiles;
        switch (op->kind) {
            case R2B_TILE_AFFINE:
                if (channels == 1) {
                    scale(op, t, count, 1);
                } else if (channels == 3) {
                    scale(op, t, count, 3);
                } else {
                    scale(op, t, count, channels);
                }
                break;
            case R2B_TILE_PRELU:
                BY_CHANNEL(own[c] = leaky(own[c], a[c]))
                break;
            case R2B_TILE_CLIP:
                clip(op, t, count * channels);
                break;
            case R2B_TILE_SIGMOID:
                BY_VALUE(t[i] = r2b_sigmoid(t[i]));
                break;
            case R2B_TILE_ADD_MAP:
                BY_VALUE(t[i] += m[i]);
                break;
            case R2B_TILE_MUL_MAP:
                BY_VALUE(t[i] *= m[i]);
                break;
            case R2B_TILE_ADD_VECTOR:
                BY_CHANNEL(own[c] += at[c])
                break;
            case R2B_TILE_MUL_VECTOR:
                BY_CHANNEL(own[c] *= at[c])
                break;
            case R2B_TILE_STORE:
                if (t != m) memcpy(m, t, (size_t)(count * channels) * sizeof(float));
                break;
            case R2B_TILE_BITS: {
                uint32_t *const words = (uint32_t *)(void *)at;
                for (int32_t p = 0; p < count; p++) {
                    pack_bits(op, words + (pixel + p) * ((channels + 31) / 32), t + p * channels, channels);
                }
                break;
            }
            case R2B_TILE_BITS128:
                for (int32_t p = 0; p < count; p++) {
                    pack_bits128(op, (uint32_t *)(void *)at, pixel + p, t + p * channels, channels);
                }
                break;
            case R2B_TILE_CALL:
                for (int32_t p = 0; p < count; p++) op->call(op, arena, pixel + p, t + p * channels, channels);
                break;
            case R2B_TILE_MEAN: {
                float *const restrict row = (float *)(void *)(arena + r2b_row_sums(op, channels, epilogue->task));
                BY_CHANNEL(row[c] += own[c])
                break;
            }
        }
    }
}

float *r2b_epilogue_place(const r2b_epilogue *epilogue, uint8_t *arena) {
    const r2b_tile_op *store = NULL;  // the last one, if nothing changes the tile after it
    for (const r2b_tile_op *op = epilogue->ops; op < epilogue->ops + epilogue->count; op++) {
        const int only_reads = op->kind == R2B_TILE_BITS || op->kind == R2B_TILE_BITS128 || op->kind == R2B_TILE_MEAN;
        if (!only_reads) store = op->kind == R2B_TILE_STORE ? op : NULL;
    }
    for (const r2b_tile_op *op = epilogue->ops; store && op < store; op++) {
        const int reads_map = op->kind == R2B_TILE_ADD_MAP || op->kind == R2B_TILE_MUL_MAP ||
                              (op->kind == R2B_TILE_CALL && op->operand == R2B_EVERYWHERE && !op->a);
        if (reads_map && op->at == store->at) return NULL;
    }
    if (store == NULL) return NULL;
    return (float *)(void *)(arena + store->at) + epilogue->first * epilogue->channels;
}

// A mean is summed in two levels, rows and then their total, so that a float32 sum over a whole map stays near the
// rounding of a single addition. The total lies in the result until the end; tasks that share the rows have a total
// each, and these are added at the end.
void r2b_epilogue_begin(const r2b_epilogue *epilogue, uint8_t *arena) {
    if (epilogue->begun) return;
    const size_t bytes = (size_t)epilogue->channels * sizeof(float);
    for (int32_t k = 0; k < epilogue->count; k++) {
        const r2b_tile_op *const op = &epilogue->ops[k];
        if (op->kind != R2B_TILE_MEAN) continue;
        memset(arena + r2b_total(op, epilogue->channels, epilogue->task), 0, bytes);
        memset(arena + r2b_row_sums(op, epilogue->channels, epilogue->task), 0, bytes);
    }
}

void r2b_epilogue_row(const r2b_epilogue *epilogue, uint8_t *arena) {
    for (int32_t k = 0; k < epilogue->count; k++) {
        const r2b_tile_op *const op = &epilogue->ops[k];
        if (op->kind != R2B_TILE_MEAN) continue;
        const int32_t channels = epilogue->channels;
        float *const restrict total = (float *)(void *)(arena + r2b_total(op, channels, epilogue->task));
        float *const restrict row = (float *)(void *)(arena + r2b_row_sums(op, channels, epilogue->task));
        for (int32_t c = 0; c < epilogue->channels; c++) {
            total[c] += row[c];
            row[c] = 0;
        }
    }
}

void r2b_epilogue_join(const r2b_epilogue *epilogue, uint8_t *arena, int32_t tasks) {
    const int32_t channels = epilogue->channels;
    for (int32_t k = 0; k < epilogue->count; k++) {
        const r2b_tile_op *const op = &epilogue->ops[k];
        if (op->kind != R2B_TILE_MEAN) continue;
        float *const restrict total = (float *)(void *)(arena + op->at);
        for (int32_t task = 1; task < tasks; task++) {
            const float *const restrict one = (float *)(void *)(arena + r2b_total(op, channels, (uint32_t)task));
            for (int32_t c = 0; c < channels; c++) total[c] += one[c];
        }
        for (int32_t c = 0; c < channels; c++) total[c] /= (float)epilogue->pixels;
    }
}

void r2b_epilogue_end(const r2b_epilogue *epilogue, uint8_t *arena) {
    if (!epilogue->more) r2b_epilogue_join(epilogue, arena, 1);
}
