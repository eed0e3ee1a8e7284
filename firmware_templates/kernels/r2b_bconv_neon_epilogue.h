// SPDX-License-Identifier: MIT-0
//
// r2b_bconv_neon_epilogue.h: from the sums, half of the dot products, to what the epilogue writes, in one pass, for the
// sequences of operations that binary networks have:
//     [AFFINE] [MUL_VECTOR] [PRELU] [ADD_MAP], then at most one each of STORE, MEAN and BITS128.
// `fuse` says whether an epilogue is one; any other runs on tiles of float32 (r2b_epilogue.c).
//
// The dot product is 2 d, with d the sum. All factors go into one, s = 2 * scale * gate, and what PRELU does to it as
// well. Without an offset
//     t = skip + (d < 0 ? down : up) * d, where up = s and down = slope * s, or vice versa if s < 0;
// with an offset (the gate is finite: it is a product with what may be 0)
//     t = skip + (v < 0 ? slope : 1) * v, where v = s * d + offset * gate.
// Signs of the sums alone need no float: d < least (the exporter makes constants and slopes into such limits where it
// can). The work is done for a group of 8 channels of up to 7 pixels at a time: the channels' constants stay in
// registers. A sign becomes a bit by FCMGT, narrowing to a byte for each channel, AND with 1, 2, 4 .. 128, and a sum
// over the bytes, for all pixels in one tree of ADDP. That gives a byte for each pixel; they wait in `staged` until a
// chunk of channels is complete. The arithmetic is in r2b_bconv_neon_finish.h.
#ifndef R2B_BCONV_NEON_EPILOGUE_H
#define R2B_BCONV_NEON_EPILOGUE_H

#include <arm_neon.h>
#include <string.h>

#include "r2b_bconv_neon_finish.h"
#include "r2b_kernels.h"

typedef struct {
    int32_t parts;
    int32_t channels;
    int32_t width;  // of the map
    group_constants *constants;
    int32_t first_chunk;  // of 128 channels, the task's share of them
    int32_t last_chunk;
    const float *skip;
    float *store;
    const r2b_tile_op *mean;
    float *sums;   // of the row, [channels]
    float *total;  // of the task's rows
    uint8_t *bits;
} fused;

// The least d with 2 d >= limit, at most 2^15 - 1: no sum is as large.
static int16_t least_sum(float limit) {
    const float half = limit / 2;
    if (!(half > -32768.0f)) return INT16_MIN;
    if (half >= 32767.0f) return INT16_MAX;
    const int16_t down = (int16_t)half;  // towards 0
    return (float)down < half ? (int16_t)(down + 1) : down;
}

// Matches the epilogue, and computes the constants into `work`. False if it is no such sequence.
static int fuse(const r2b_epilogue *epilogue, int32_t width, uint8_t *arena, group_constants *work, fused *f) {
    const r2b_tile_op *const end = epilogue->ops + epilogue->count;
    const r2b_tile_op *op = epilogue->ops;
    const r2b_tile_op *affine = NULL, *gate = NULL, *prelu = NULL, *signs = NULL;
    *f = (fused){.channels = epilogue->channels, .width = width, .constants = work};
    if (f->channels % GROUP != 0) return 0;
    if (op < end && op->kind == R2B_TILE_AFFINE) affine = op++;
    if (op < end && op->kind == R2B_TILE_MUL_VECTOR) gate = op++;
    if (op < end && op->kind == R2B_TILE_PRELU) prelu = op++;
    if (affine || gate || prelu) f->parts |= SCALED;
    if (op < end && op->kind == R2B_TILE_ADD_MAP) {
        f->parts |= SCALED | SKIP;
        f->skip = (const float *)(const void *)(arena + op++->at);
    }
    for (; op < end; op++) {
        int32_t part = 0;
        if (op->kind == R2B_TILE_STORE) {
            part = STORED;
            f->store = (float *)(void *)(arena + op->at);
        } else if (op->kind == R2B_TILE_MEAN) {
            part = MEANT;
            f->mean = op;
        } else if (op->kind == R2B_TILE_BITS128) {
            part = PACKED;
            signs = op;
            f->bits = arena + op->at;
        }
        if (part == 0 || (f->parts & part)) return 0;
        f->parts |= part;
    }
    if (f->parts == STORED) return 1;  // no constants
    for (int32_t c = 0; affine && c < f->channels; c++) f->parts |= affine->b[c] != 0 ? SHIFTED : 0;
    for (int32_t c = 0; c < f->channels; c++) {
        group_constants *const k = &work[c / GROUP];
        const int32_t i = c % GROUP;
        if (f->parts & PACKED) {
            if (i == 0) memset(k->flip, signs->flip ? (int)(signs->flip[c / 32] >> c % 32 & 255) : 0, 16);
            k->limit[i] = signs->a[c];
            if (f->parts == PACKED) {
                k->least[i] = least_sum(signs->a[c]);
                continue;
            }
        }
        const float g = gate ? ((const float *)(const void *)(arena + gate->at))[c] : 1.0f;
        const float s = (affine ? 2.0f * affine->a[c] : 2.0f) * g;
        const float slope = prelu ? prelu->a[c] : 1.0f;
        k->up[i] = (f->parts & SHIFTED) || s >= 0 ? s : slope * s;
        k->down[i] = (f->parts & SHIFTED) ? slope : s >= 0 ? slope * s : s;
        k->offset[i] = affine ? affine->b[c] * g : 0.0f;
    }
    return 1;
}

// Writes a chunk of `pixels` pixels from `staged`, uint8_t [16 groups][8 pixels]: UZP1 and UZP2 part the even from the
// odd pixels, then the multiples of 4 from those of 2, then the pixels. Up to 64 channels, or 32, lie in the chunk
// twice, or four times: their vectors of 2 groups stand for those beyond them, which are not in use.
static void write_chunk(const uint8_t *staged, int32_t channels, int32_t pixels, uint8_t *to) {
    uint8x16_t v[8], parted[4], out[8];
    const int32_t vectors = channels <= 64 ? 4 : 8;
    for (int32_t i = 0; i < 4; i++) v[i] = vld1q_u8(staged + (channels <= 32 ? i % 2 : i) * 16);
    if (vectors == 8) {
        for (int32_t i = 4; i < 8; i++) v[i] = vld1q_u8(staged + i * 16);
    }
    for (int32_t odd = 0; odd < 2; odd++) {
        for (int32_t i = 0; i < 2; i++)
            parted[i] = odd ? vuzp2q_u8(v[2 * i], v[2 * i + 1]) : vuzp1q_u8(v[2 * i], v[2 * i + 1]);
        for (int32_t i = 2; i < 4; i++) {
            if (vectors == 4) {
                parted[i] = parted[i - 2];
            } else {
                parted[i] = odd ? vuzp2q_u8(v[2 * i], v[2 * i + 1]) : vuzp1q_u8(v[2 * i], v[2 * i + 1]);
            }
        }
        const uint8x16_t fours[2] = {vuzp1q_u8(parted[0], parted[1]), vuzp1q_u8(parted[2], parted[3])};
        const uint8x16_t twos[2] = {vuzp2q_u8(parted[0], parted[1]), vuzp2q_u8(parted[2], parted[3])};
        out[odd] = vuzp1q_u8(fours[0], fours[1]);
        out[odd + 4] = vuzp2q_u8(fours[0], fours[1]);
        out[odd + 2] = vuzp1q_u8(twos[0], twos[1]);
        out[odd + 6] = vuzp2q_u8(twos[0], twos[1]);
    }
    if (pixels == PIXELS) {
        for (int32_t p = 0; p < PIXELS; p++) vst1q_u8(to + p * 16, out[p]);
    } else {
        for (int32_t p = 0; p < pixels; p++) vst1q_u8(to + p * 16, out[p]);
    }
}

// The tile of `pixels` pixels from (oy, ox) on; sums [channels / 8][7][8], of all channels.
static void finish_tile(const fused *f, const int16_t *sums, int32_t pixels, int32_t oy, int32_t ox) {
    const int32_t groups = f->channels / GROUP;
    const int32_t chunks = (f->channels + 127) / 128;
    uint8_t staged[16 * 8];
    for (int32_t chunk = f->first_chunk; chunk < f->last_chunk; chunk++) {
        const int32_t from = chunk * 16;
        const int32_t to = groups < from + 16 ? groups : from + 16;
        const int32_t first = (oy * f->width + ox) * f->channels + from * GROUP;
        if ((f->parts & PACKED) && to % 16 != 0) memset(staged, 0, sizeof staged);
        const group_run g = {
            .sums = sums + from * PIXELS * GROUP,
            .constants = f->constants + from,
            .skip = (f->parts & SKIP) ? f->skip + first : NULL,
            .store = (f->parts & STORED) ? f->store + first : NULL,
            .row = (f->parts & MEANT) ? f->sums + from * GROUP : NULL,
            .staged = staged,
            .count = to - from,
        };
        finish_groups(f->parts, &g, pixels, f->channels);
        if (f->parts & PACKED) {
            const int32_t row = (oy * chunks + chunk) * f->width + ox;
            write_chunk(staged, f->channels, pixels, f->bits + row * 16);
        }
    }
}

// After a row: its sums to the task's total, as r2b_epilogue_row does it.
static void finish_row(const fused *f) {
    if (!(f->parts & MEANT)) return;
    const int32_t end = f->last_chunk * 128 < f->channels ? f->last_chunk * 128 : f->channels;
    for (int32_t c = f->first_chunk * 128; c < end; c++) {
        f->total[c] += f->sums[c];
        f->sums[c] = 0;
    }
}

#endif  // R2B_BCONV_NEON_EPILOGUE_H
