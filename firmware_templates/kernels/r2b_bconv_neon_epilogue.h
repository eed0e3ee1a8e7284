// SPDX-License-Identifier: MIT-0
//
// r2b_bconv_neon_epilogue.h: from the counts of differing bits to what the epilogue writes, in one pass, for the
// sequences of operations that binary networks have:
//     [AFFINE] [MUL_VECTOR] [PRELU] [ADD_MAP], then at most one each of STORE, MEAN and BITS128.
// `fuse` says whether an epilogue is one; any other runs on tiles of float32 (r2b_epilogue.c).
//
// With n products in a pixel's window its dot product is n - 2 * differing = 2 d, d = n / 2 - differing, n even. All
// factors go into one, s = 2 * scale * gate, and what PRELU does to it as well. Without an offset
//     t = skip + up * max(d, 0) + down * min(d, 0), where up = s and down = slope * s, or vice versa if s < 0;
// with an offset (the gate is finite: it is a product with what may be 0)
//     t = skip + max(v, 0) + slope * min(v, 0), where v = s * d + offset * gate.
// The work is done for a group of 8 channels of up to 7 pixels at a time: the channels' constants stay in registers. A
// sign becomes a bit by FCMGT, one vector of 8 masks, AND with 1, 2, 4 .. 128, and a sum over the lanes, for all pixels
// in one tree of ADDP. That gives a byte for each pixel; they wait in `staged` until a chunk of channels is complete.
#ifndef R2B_BCONV_NEON_EPILOGUE_H
#define R2B_BCONV_NEON_EPILOGUE_H

#include <arm_neon.h>
#include <string.h>

#include "r2b_bconv_neon_loops.h"
#include "r2b_kernels.h"

enum {  // which parts a pass has
    SCALED = 1,
    SHIFTED = 2,  // with an offset; SCALED as well
    SKIP = 4,     // SCALED as well
    STORED = 8,
    MEANT = 16,
    PACKED = 32,
};

// The constants of a group; as many lie in the workspace as there are groups.
typedef struct {
    float up[GROUP];    // s where SHIFTED
    float down[GROUP];  // the slope where SHIFTED
    float offset[GROUP];
    float limit[GROUP];  // of the signs
    uint8_t flip[16];    // 16 times the byte whose bit c inverts the sign of channel c
} group_constants;

typedef struct {
    int32_t parts;
    int32_t channels;
    int32_t width;  // of the map
    group_constants *constants;
    const float *skip;
    float *store;
    float *sums;  // of the row, [channels]
    uint8_t *bits;
} fused;

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
            f->sums = (float *)(void *)(arena + op->work);
        } else if (op->kind == R2B_TILE_BITS128) {
            part = PACKED;
            signs = op;
            f->bits = arena + op->at;
        }
        if (part == 0 || (f->parts & part)) return 0;
        f->parts |= part;
    }
    for (int32_t c = 0; affine && c < f->channels; c++) f->parts |= affine->b[c] != 0 ? SHIFTED : 0;
    for (int32_t c = 0; c < f->channels; c++) {
        group_constants *const k = &work[c / GROUP];
        const int32_t i = c % GROUP;
        const float g = gate ? ((const float *)(const void *)(arena + gate->at))[c] : 1.0f;
        const float s = (affine ? 2.0f * affine->a[c] : 2.0f) * g;
        const float slope = prelu ? prelu->a[c] : 1.0f;
        k->up[i] = (f->parts & SHIFTED) || s >= 0 ? s : slope * s;
        k->down[i] = (f->parts & SHIFTED) ? slope : s >= 0 ? slope * s : s;
        k->offset[i] = affine ? affine->b[c] * g : 0.0f;
        k->limit[i] = signs ? signs->a[c] : 0.0f;
        if (i == 0) memset(k->flip, signs && signs->flip ? (int)(signs->flip[c / 32] >> c % 32 & 255) : 0, 16);
    }
    return 1;
}

// A group at work. skip and store go from pixel to pixel, the sums grow.
typedef struct {
    float32x4_t up0, up1, down0, down1, offset0, offset1, limit0, limit1, sum0, sum1;
    uint16x8_t values;  // 1, 2, 4 .. 128
    const float *skip;
    float *store;
} group_state;

static inline group_state begin_group(const fused *f, int32_t group, int32_t first) {
    static const uint16_t VALUES[8] = {1, 2, 4, 8, 16, 32, 64, 128};
    const group_constants *const k = &f->constants[group];
    group_state s = {.values = vld1q_u16(VALUES)};
    s.up0 = vld1q_f32(k->up);
    s.up1 = vld1q_f32(k->up + 4);
    s.down0 = vld1q_f32(k->down);
    s.down1 = vld1q_f32(k->down + 4);
    s.offset0 = vld1q_f32(k->offset);
    s.offset1 = vld1q_f32(k->offset + 4);
    s.limit0 = vld1q_f32(k->limit);
    s.limit1 = vld1q_f32(k->limit + 4);
    s.sum0 = s.sum1 = vdupq_n_f32(0.0f);
    if (f->parts & SKIP) s.skip = f->skip + first + group * GROUP;
    if (f->parts & STORED) s.store = f->store + first + group * GROUP;
    return s;
}

// One pointer goes through the pixels. Left to itself, GCC computes all addresses beforehand, more than it has
// registers.
#define NEXT_PIXEL(pointer, channels) \
    do {                              \
        (pointer) += (channels);      \
        __asm__("" : "+r"(pointer));  \
    } while (0)

// Pixel p of the tile; gives lane i = 2^i where channel i is -1. Inlined, with `parts` a constant where speed counts.
static inline __attribute__((always_inline)) uint16x8_t finish_pixel(group_state *s, int parts, int32_t p,
                                                                     int32_t channels, const uint16_t *counts,
                                                                     uint16x8_t half) {
    const float32x4_t zero = vdupq_n_f32(0.0f);
    const uint16x8_t count = vld1q_u16(counts + p * GROUP);
    float32x4_t t0, t1;
    if (parts & SCALED) {
        const uint32x4_t low = vsubl_u16(vget_low_u16(half), vget_low_u16(count));
        const float32x4_t d0 = vcvtq_f32_s32(vreinterpretq_s32_u32(low));
        const float32x4_t d1 = vcvtq_f32_s32(vreinterpretq_s32_u32(vsubl_high_u16(half, count)));
        const float32x4_t skip0 = (parts & SKIP) ? vld1q_f32(s->skip) : zero;
        const float32x4_t skip1 = (parts & SKIP) ? vld1q_f32(s->skip + 4) : zero;
        if (parts & SKIP) NEXT_PIXEL(s->skip, channels);
        if (parts & SHIFTED) {
            const float32x4_t v0 = vfmaq_f32(s->offset0, d0, s->up0);
            const float32x4_t v1 = vfmaq_f32(s->offset1, d1, s->up1);
            t0 = vfmaq_f32(vmaxq_f32(v0, zero), vminq_f32(v0, zero), s->down0);
            t1 = vfmaq_f32(vmaxq_f32(v1, zero), vminq_f32(v1, zero), s->down1);
            if (parts & SKIP) t0 = vaddq_f32(t0, skip0);
            if (parts & SKIP) t1 = vaddq_f32(t1, skip1);
        } else {
            const float32x4_t m0 = vmaxq_f32(d0, zero);
            const float32x4_t m1 = vmaxq_f32(d1, zero);
            t0 = (parts & SKIP) ? vfmaq_f32(skip0, m0, s->up0) : vmulq_f32(m0, s->up0);
            t1 = (parts & SKIP) ? vfmaq_f32(skip1, m1, s->up1) : vmulq_f32(m1, s->up1);
            t0 = vfmaq_f32(t0, vminq_f32(d0, zero), s->down0);
            t1 = vfmaq_f32(t1, vminq_f32(d1, zero), s->down1);
        }
    } else {  // |d| < 2^15
        const int16x8_t d = vreinterpretq_s16_u16(vsubq_u16(half, count));
        t0 = vcvtq_f32_s32(vshll_n_s16(vget_low_s16(d), 1));
        t1 = vcvtq_f32_s32(vshll_high_n_s16(d, 1));
    }
    if (parts & STORED) {
        vst1q_f32(s->store, t0);
        vst1q_f32(s->store + 4, t1);
        NEXT_PIXEL(s->store, channels);
    }
    if (parts & MEANT) {
        s->sum0 = vaddq_f32(s->sum0, t0);
        s->sum1 = vaddq_f32(s->sum1, t1);
    }
    if (!(parts & PACKED)) return vdupq_n_u16(0);
    return vandq_u16(
        vuzp1q_u16(vreinterpretq_u16_u32(vcltq_f32(t0, s->limit0)), vreinterpretq_u16_u32(vcltq_f32(t1, s->limit1))),
        s->values);
}

// The bytes of 8 pixels.
static inline void end_group(const fused *f, int parts, const group_state *s, int32_t group, uint8x8_t bytes,
                             uint8_t *staged) {
    const int32_t c = group * GROUP;
    if (parts & MEANT) {
        vst1q_f32(f->sums + c, vaddq_f32(vld1q_f32(f->sums + c), s->sum0));
        vst1q_f32(f->sums + c + 4, vaddq_f32(vld1q_f32(f->sums + c + 4), s->sum1));
    }
    if (parts & PACKED) {
        vst1_u8(staged + group % 16 * 8, veor_u8(bytes, vld1_u8(f->constants[group].flip)));
    }
}

// Groups from..to - 1 of a tile of 7 pixels; 8 of `halves` are read. `parts` is a constant where it is called, and f a
// copy, so that no store can change it.
static inline __attribute__((always_inline)) void finish_seven(const fused f, int parts, const uint16_t *counts,
                                                               const uint16_t *halves, int32_t from, int32_t to,
                                                               int32_t first, uint8_t *staged) {
    for (int32_t g = from; g < to; g++) {
        const uint16_t *const its = counts + g * PIXELS * GROUP;
        const uint16x8_t half = vld1q_u16(halves);
        group_state s = begin_group(&f, g, first);
        const uint16x8_t p0 = finish_pixel(&s, parts, 0, f.channels, its, vdupq_laneq_u16(half, 0));
        const uint16x8_t p1 = finish_pixel(&s, parts, 1, f.channels, its, vdupq_laneq_u16(half, 1));
        const uint16x8_t p2 = finish_pixel(&s, parts, 2, f.channels, its, vdupq_laneq_u16(half, 2));
        const uint16x8_t p3 = finish_pixel(&s, parts, 3, f.channels, its, vdupq_laneq_u16(half, 3));
        const uint16x8_t p4 = finish_pixel(&s, parts, 4, f.channels, its, vdupq_laneq_u16(half, 4));
        const uint16x8_t p5 = finish_pixel(&s, parts, 5, f.channels, its, vdupq_laneq_u16(half, 5));
        const uint16x8_t p6 = finish_pixel(&s, parts, 6, f.channels, its, vdupq_laneq_u16(half, 6));
        const uint16x8_t p0_3 = vpaddq_u16(vpaddq_u16(p0, p1), vpaddq_u16(p2, p3));
        const uint16x8_t p4_7 = vpaddq_u16(vpaddq_u16(p4, p5), vpaddq_u16(p6, p6));
        end_group(&f, parts, &s, g, vmovn_u16(vpaddq_u16(p0_3, p4_7)), staged);
    }
}

// The same for any number of pixels and all parts.
static void finish_some(const fused *f, const uint16_t *counts, const uint16_t *halves, int32_t pixels, int32_t from,
                        int32_t to, int32_t first, uint8_t *staged) {
    for (int32_t g = from; g < to; g++) {
        uint8_t bytes[8] = {0};
        group_state s = begin_group(f, g, first);
        for (int32_t p = 0; p < pixels; p++) {
            const uint16_t *const its = counts + g * PIXELS * GROUP;
            bytes[p] = (uint8_t)vaddvq_u16(finish_pixel(&s, f->parts, p, f->channels, its, vld1q_dup_u16(halves + p)));
        }
        end_group(f, f->parts, &s, g, vld1_u8(bytes), staged);
    }
}

// Writes a chunk of `pixels` pixels from `staged`, uint8_t [16 groups][8 pixels]: UZP1 and UZP2 part the even from the
// odd pixels, then the multiples of 4 from those of 2, then the pixels. Up to 64 channels fill the first half only.
static void write_chunk(const uint8_t *staged, int twice, int32_t pixels, uint8_t *to) {
    uint8x16_t v[8], u[8];
    for (int32_t i = 0; i < 8; i++) v[i] = vld1q_u8(staged + (twice ? i % 4 : i) * 16);
    for (int32_t i = 0; i < 4; i++) {
        u[i] = vuzp1q_u8(v[2 * i], v[2 * i + 1]);
        u[i + 4] = vuzp2q_u8(v[2 * i], v[2 * i + 1]);
    }
    for (int32_t i = 0; i < 4; i++) {  // pixels 0 4, 2 6, 1 5, 3 7 of half the groups each
        v[i / 2 * 4 + i % 2] = vuzp1q_u8(u[2 * i], u[2 * i + 1]);
        v[i / 2 * 4 + i % 2 + 2] = vuzp2q_u8(u[2 * i], u[2 * i + 1]);
    }
    for (int32_t i = 0; i < 4; i++) {
        static const int32_t FIRST[4] = {0, 2, 1, 3};
        u[FIRST[i]] = vuzp1q_u8(v[2 * i], v[2 * i + 1]);
        u[FIRST[i] + 4] = vuzp2q_u8(v[2 * i], v[2 * i + 1]);
    }
    for (int32_t p = 0; p < pixels; p++) vst1q_u8(to + p * 16, u[p]);
}

// The tile of `pixels` pixels from (oy, ox) on. `counts` [channels / 8][7][8]; `halves` [8]: half the products of each
// pixel's window. What real networks do has its own code.
static void finish_tile(const fused *f, const uint16_t *counts, const uint16_t *halves, int32_t pixels, int32_t oy,
                        int32_t ox) {
#define PASS(parts)                                                       \
    case (parts):                                                         \
        finish_seven(*f, parts, counts, halves, from, to, first, staged); \
        break;
#define PASSES(before)               \
    PASS((before) | STORED)          \
    PASS((before) | PACKED)          \
    PASS((before) | MEANT)           \
    PASS((before) | STORED | PACKED) \
    PASS((before) | STORED | MEANT | PACKED)
    const int32_t groups = f->channels / GROUP;
    const int32_t chunks = (f->channels + 127) / 128;
    const int32_t first = (oy * f->width + ox) * f->channels;
    uint8_t staged[16 * 8];
    for (int32_t chunk = 0; chunk < chunks; chunk++) {
        const int32_t from = chunk * 16;
        const int32_t to = groups < from + 16 ? groups : from + 16;
        if ((f->parts & PACKED) && to % 16 != 0) memset(staged, 0, sizeof staged);
        switch (pixels == PIXELS ? f->parts : 0) {
            PASS(STORED)
            PASSES(SCALED)
            PASSES(SCALED | SKIP)
            PASSES(SCALED | SHIFTED)
            PASSES(SCALED | SHIFTED | SKIP)
            default:
                finish_some(f, counts, halves, pixels, from, to, first, staged);
        }
        if (f->parts & PACKED) {
            const int32_t row = (oy * chunks + chunk) * f->width + ox;
            write_chunk(staged, f->channels <= 64, pixels, f->bits + row * 16);
        }
    }
#undef PASS
#undef PASSES
}

#endif  // R2B_BCONV_NEON_EPILOGUE_H
