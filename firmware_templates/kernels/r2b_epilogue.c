// SPDX-License-Identifier: MIT-0
//
// r2b_epilogue.c: the tile operations, in plain C. See r2b_kernels.h.
#include <string.h>

#include "r2b_kernels.h"
#include "r2b_math.h"

// Error at most 3 ulp for x >= -87 (tests/c measures it); below, the result stays at that of -87, which is 1.6e-38.
float r2b_sigmoid(float x) {
    const float y = x >= -87.0f ? (x > 87.0f ? 87.0f : x) : -87.0f;  // a NaN becomes -87: exp_small needs a number
    const float value = 1.0f / (1.0f + exp_small(-y));
    return x == x ? value : x;
}

// Channels first.. of a tile as one word of bits; those beyond the last channel are 0.
static inline uint32_t pack_word(const r2b_tile_op *op, const float *restrict tile, int32_t channels, int32_t first) {
    const float *restrict threshold = op->a + first;
    const float *restrict t = tile + first;
    uint32_t word = 0;
    if (first + 32 <= channels) {
        for (int32_t i = 0; i < 32; i++) word |= (uint32_t)(t[i] < threshold[i]) << i;
    } else {
        for (int32_t i = 0; first + i < channels; i++) word |= (uint32_t)(t[i] < threshold[i]) << i;
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
    if (channels <= 64) memcpy(words - 4 * width + 2, words - 4 * width, 2 * sizeof *words);
}

void r2b_epilogue_tile(const r2b_epilogue *epilogue, uint8_t *arena, int32_t pixel, float *tile) {
    const int32_t channels = epilogue->channels;
    const int32_t base = pixel * channels;
    float *const restrict t = tile;
    for (int32_t k = 0; k < epilogue->count; k++) {
        const r2b_tile_op *const op = &epilogue->ops[k];
        const float *const restrict a = op->a;
        const float *const restrict b = op->b;
        float *const restrict m = (float *)(void *)(arena + op->at);
        switch (op->kind) {
            case R2B_TILE_AFFINE:
                for (int32_t c = 0; c < channels; c++) t[c] = a[c] * t[c] + b[c];
                break;
            case R2B_TILE_PRELU:
                for (int32_t c = 0; c < channels; c++) t[c] = t[c] >= 0 ? t[c] : a[c] * t[c];
                break;
            case R2B_TILE_CLIP: {
                const float low = op->low;
                const float high = op->high;
                for (int32_t c = 0; c < channels; c++) {
                    const float raised = t[c] < low ? low : t[c];
                    t[c] = raised > high ? high : raised;
                }
                break;
            }
            case R2B_TILE_SIGMOID:
                for (int32_t c = 0; c < channels; c++) t[c] = r2b_sigmoid(t[c]);
                break;
            case R2B_TILE_ADD_MAP:
                for (int32_t c = 0; c < channels; c++) t[c] += m[base + c];
                break;
            case R2B_TILE_MUL_MAP:
                for (int32_t c = 0; c < channels; c++) t[c] *= m[base + c];
                break;
            case R2B_TILE_ADD_VECTOR:
                for (int32_t c = 0; c < channels; c++) t[c] += m[c];
                break;
            case R2B_TILE_MUL_VECTOR:
                for (int32_t c = 0; c < channels; c++) t[c] *= m[c];
                break;
            case R2B_TILE_STORE:
                memcpy(m + base, t, (size_t)channels * sizeof(float));
                break;
            case R2B_TILE_BITS: {
                uint32_t *const words = (uint32_t *)(void *)(arena + op->at);
                pack_bits(op, words + pixel * ((channels + 31) / 32), t, channels);
                break;
            }
            case R2B_TILE_BITS128:
                pack_bits128(op, (uint32_t *)(void *)(arena + op->at), pixel, t, channels);
                break;
            case R2B_TILE_CALL:
                op->call(op, arena, pixel, t, channels);
                break;
            case R2B_TILE_MEAN: {
                float *const restrict row = (float *)(void *)(arena + op->work);
                for (int32_t c = 0; c < channels; c++) row[c] += t[c];
                break;
            }
        }
    }
}

// A mean is summed in two levels, rows and then their total, so that a float32 sum over a whole map stays near the
// rounding of a single addition. The total lies in the result until the end.
void r2b_epilogue_begin(const r2b_epilogue *epilogue, uint8_t *arena) {
    const size_t bytes = (size_t)epilogue->channels * sizeof(float);
    for (int32_t k = 0; k < epilogue->count; k++) {
        const r2b_tile_op *const op = &epilogue->ops[k];
        if (op->kind != R2B_TILE_MEAN) continue;
        memset(arena + op->at, 0, bytes);
        memset(arena + op->work, 0, bytes);
    }
}

void r2b_epilogue_row(const r2b_epilogue *epilogue, uint8_t *arena) {
    for (int32_t k = 0; k < epilogue->count; k++) {
        const r2b_tile_op *const op = &epilogue->ops[k];
        if (op->kind != R2B_TILE_MEAN) continue;
        float *const restrict total = (float *)(void *)(arena + op->at);
        float *const restrict row = (float *)(void *)(arena + op->work);
        for (int32_t c = 0; c < epilogue->channels; c++) {
            total[c] += row[c];
            row[c] = 0;
        }
    }
}

void r2b_epilogue_end(const r2b_epilogue *epilogue, uint8_t *arena) {
    for (int32_t k = 0; k < epilogue->count; k++) {
        const r2b_tile_op *const op = &epilogue->ops[k];
        if (op->kind != R2B_TILE_MEAN) continue;
        float *const total = (float *)(void *)(arena + op->at);
        for (int32_t c = 0; c < epilogue->channels; c++) total[c] /= (float)epilogue->pixels;
    }
}
