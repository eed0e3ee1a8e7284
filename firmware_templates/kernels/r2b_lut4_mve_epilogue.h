// SPDX-License-Identifier: MIT-0
//
// r2b_lut4_mve_epilogue.h: from the lanes of r2b_lut4_mve.h, half dot products, to what the epilogue writes.
//
// FLOATS: the sequences that binary networks have,
//     [AFFINE] [MUL_VECTOR] [PRELU] [ADD_MAP], then at most one each of STORE, MEAN and BITS,
// on 4 channels of a pixel at a time (exporters/c/lut4_mve.py says which epilogues are one). All factors go into one,
// s = 2 * scale * gate. Without an offset
//     t = skip + d * (d >= 0 ? up : down), where up = s and down = slope * s, or vice versa if s < 0;
// with one (the gate is finite: it is a product with what may be 0)
//     t = skip + v * (v >= 0 ? 1 : slope), where v = s * d + offset * gate.
// The bits of 4 channels are 4 predicates: a sum over the lanes of 1, 2, 4 and 8 where t is below the threshold. Where
// a sign is inverted the lane is negative and the word begins with its bit set. TILES: any epilogue: the lanes of all
// channels wait for the end of the rows, then a pixel after the other is a tile.
#ifndef R2B_LUT4_MVE_EPILOGUE_H
#define R2B_LUT4_MVE_EPILOGUE_H

#include "r2b_lut4_mve.h"

enum {  // what there is to do
    SHIFTED = 1,
    SKIP = 2,
    STORED = 4,
    MEANT = 8,
    PACKED = 16,
    SCALED = 32,  // by anything but 2
};

typedef struct {
    int32_t parts;
    const r2b_tile_op *affine;
    const r2b_tile_op *gate;
    const r2b_tile_op *prelu;
    const r2b_tile_op *signs;
    const float *skip;
    float *store;
    float *sums;
    uint32_t *bits;
} lut4_fused;

// Pixels of a row of the map whose lanes are 2 apart.
typedef struct {
    int32_t lane;  // of the first one
    int32_t y;
    int32_t x;
    int32_t count;
} lut4_run;

// The constants of 4 channels.
typedef struct {
    float32x4_t up;    // s where SHIFTED
    float32x4_t down;  // the slope where SHIFTED
    float32x4_t offset;
    float32x4_t limit;
    int32x4_t bits;
} lut4_four;

LUT4_SELDOM lut4_fused lut4_fuse(const r2b_epilogue *epilogue, uint8_t *arena) {
    lut4_fused f = {.parts = 0};
    for (const r2b_tile_op *op = epilogue->ops; op < epilogue->ops + epilogue->count; op++) {
        float *const at = (float *)(void *)(arena + op->at);
        if (op->kind == R2B_TILE_AFFINE) {
            f.parts |= SCALED;
            f.affine = op;
            for (int32_t c = 0; c < epilogue->channels; c++) f.parts |= op->b[c] != 0 ? SHIFTED : 0;
        } else if (op->kind == R2B_TILE_MUL_VECTOR) {
            f.parts |= SCALED;
            f.gate = op;
        } else if (op->kind == R2B_TILE_PRELU) {
            f.parts |= SCALED;
            f.prelu = op;
        } else if (op->kind == R2B_TILE_ADD_MAP) {
            f.parts |= SCALED | SKIP;
            f.skip = at;
        } else if (op->kind == R2B_TILE_STORE) {
            f.parts |= STORED;
            f.store = at;
        } else if (op->kind == R2B_TILE_MEAN) {
            f.parts |= MEANT;
            f.sums = (float *)(void *)(arena + op->work);
        } else {
            f.parts |= PACKED;
            f.signs = op;
            f.bits = (uint32_t *)(void *)at;
        }
    }
    return f;
}

// MVE takes subnormal numbers for 0, and gives none: below a positive subnormal is below the least normal number.
static inline float32x4_t lut4_normal(float32x4_t limit) {
    const uint32x4_t bits = vreinterpretq_u32_f32(limit);
    const mve_pred16_t is_normal = vcmpcsq_n_u32(vsubq_n_u32(bits, 1), 0x007fffffu);
    return vpselq_f32(limit, vreinterpretq_f32_u32(vdupq_n_u32(0x00800000u)), is_normal);
}

static lut4_four lut4_constants(const lut4_fused *f, const uint8_t *arena, int32_t c) {
    const float32x4_t one = vdupq_n_f32(1.0f);
    const float32x4_t zero = vdupq_n_f32(0.0f);
    const float32x4_t gate = f->gate ? vld1q_f32((const float *)(const void *)(arena + f->gate->at) + c) : one;
    const float32x4_t scale = f->affine ? vld1q_f32(f->affine->a + c) : one;
    const float32x4_t slope = f->prelu ? vld1q_f32(f->prelu->a + c) : one;
    const float32x4_t s = vmulq_f32(vaddq_f32(scale, scale), gate);
    const float32x4_t bent = vmulq_f32(slope, s);
    const mve_pred16_t rises = vcmpgeq_f32(s, zero);
    lut4_four k = {.up = s, .down = slope, .offset = zero, .limit = zero, .bits = vdupq_n_s32(0)};
    if (f->parts & SHIFTED) {
        k.offset = vmulq_f32(vld1q_f32(f->affine->b + c), gate);
    } else {
        k.up = vpselq_f32(s, bent, rises);
        k.down = vpselq_f32(bent, s, rises);
    }
    if (f->parts & PACKED) {
        const uint32_t flip = f->signs->flip ? f->signs->flip[c / 32] >> c % 32 & 15u : 0u;
        k.limit = lut4_normal(vld1q_f32(f->signs->a + c));
        for (int32_t i = 0; i < 4; i++) {
            const uint32_t bit = 1u << (c + i) % 32;
            k.bits[i] = (int32_t)(flip >> i & 1u ? 0u - bit : bit);
        }
    }
    return k;
}

// t + v * (v >= 0 ? up : down). GCC 12 has no VPT blocks of two kinds, and moves predicates through core registers.
static inline float32x4_t lut4_add_bent(float32x4_t t, float32x4_t v, float32x4_t up, float32x4_t down) {
    mve_pred16_t lanes;
    __asm__(
        "vpte.f32 ge, %q[v], zr\n\t"
        "vfmat.f32 %q[t], %q[v], %q[up]\n\t"
        "vfmae.f32 %q[t], %q[v], %q[down]"
        : [t] "+w"(t), [lanes] "=Up"(lanes)
        : [v] "w"(v), [up] "w"(up), [down] "w"(down));
    return t;
}

// word + the sum of the bits of the lanes where t < limit.
static inline uint32_t lut4_add_bits(uint32_t word, float32x4_t t, float32x4_t limit, int32x4_t bits) {
    mve_pred16_t lanes;
    __asm__(
        "vpt.f32 gt, %q[limit], %q[t]\n\t"
        "vaddvat.s32 %[word], %q[bits]"
        : [word] "+Te"(word), [lanes] "=Up"(lanes)
        : [t] "w"(t), [limit] "w"(limit), [bits] "w"(bits));
    return word;
}

// Channels c..c + 3 of `count` pixels from `pixel` on. Inlined, with `parts` a constant where speed counts.
static inline __attribute__((always_inline)) void lut4_finish_run(const lut4_fused *f, int parts, lut4_four k,
                                                                  const int16_t *lanes, uint32x4_t offsets,
                                                                  int32_t pixel, int32_t count, int32_t c,
                                                                  int32_t channels) {
    const int32_t words = (channels + 31) / 32;
    const float *skip = f->skip + pixel * channels + c;
    float *store = f->store + pixel * channels + c;
    uint32_t *bits = f->bits + pixel * words + c / 32;
    const uint32_t flip = (parts & PACKED) && f->signs->flip ? f->signs->flip[c / 32] : 0u;
    const int is_first = c % 32 == 0;
    float32x4_t sum = vdupq_n_f32(0.0f);
#pragma GCC unroll 1
    for (; count > 0; count--, lanes += 2) {
        const int32x4_t half = vldrhq_gather_offset_s32(lanes, offsets);
        const float32x4_t d = vcvtq_f32_s32((parts & SCALED) ? half : vshlq_n_s32(half, 1));
        float32x4_t t = (parts & SKIP) ? vld1q_f32(skip) : vdupq_n_f32(0.0f);
        if (parts & SHIFTED) {
            t = lut4_add_bent(t, vfmaq_f32(k.offset, d, k.up), vdupq_n_f32(1.0f), k.down);
        } else if (parts & SCALED) {
            t = lut4_add_bent(t, d, k.up, k.down);
        } else {
            t = d;
        }
        if (parts & SKIP) skip += channels;
        if (parts & STORED) {
            vst1q_f32(store, t);
            store += channels;
        }
        if (parts & MEANT) sum = vaddq_f32(sum, t);
        if (parts & PACKED) {
            *bits = lut4_add_bits(is_first ? flip : *bits, t, k.limit, k.bits);
            bits += words;
        }
    }
    if (parts & MEANT) vst1q_f32(f->sums + c, vaddq_f32(vld1q_f32(f->sums + c), sum));
}

static lut4_run lut4_run_of(const lut4_mve *s, int32_t oy, int32_t run) {
    const r2b_window *const g = &s->layer->window;
    const int32_t segment = LUT4_PIXELS / s->layer->rows;
    const int32_t pixels = segment < 16 ? segment : 16;
    const int32_t first = run * pixels;
    lut4_run r = {.y = oy, .x = first};
    if (s->layer->rows > 1) {
        r.y += first / segment;
        r.x = first % segment;
    }
    r.lane = first / 32 * LUT4_LANES + first % 16 * 2 + first / 16 % 2;
    r.count = g->out_width - r.x < pixels ? g->out_width - r.x : pixels;
    if (r.y >= g->out_height) r.count = 0;
    return r;
}

static int32_t lut4_runs(const r2b_bconv_lut4 *layer) {
    return layer->vectors * (layer->rows == 4 ? 4 : 2);
}

// FLOATS: channels c..c + 3 of the output rows oy.. .
static inline __attribute__((always_inline)) void lut4_finish_runs(const lut4_mve *s, const lut4_fused *f, int parts,
                                                                   const uint8_t *arena, int32_t oy, int32_t c) {
    const r2b_window *const g = &s->layer->window;
    const uint32x4_t offsets = vmulq_n_u32(vidupq_n_u32(0, 1), (uint32_t)(s->layer->vectors * LUT4_LANES * 2));
    const lut4_four k = lut4_constants(f, arena, c);
    for (int32_t i = 0; i < lut4_runs(s->layer); i++) {
        const lut4_run r = lut4_run_of(s, oy, i);
        const int32_t pixel = r.y * g->out_width + r.x;
        lut4_finish_run(f, parts, k, s->lanes + r.lane, offsets, pixel, r.count, c, g->out_channels);
    }
}

// Each in a function of its own: together GCC keeps too few of their constants in registers.
#define LUT4_RUNS(name, parts)                                                                                  \
    LUT4_OFTEN void name(const lut4_mve *s, const lut4_fused *f, const uint8_t *arena, int32_t oy, int32_t c) { \
        lut4_finish_runs(s, f, parts, arena, oy, c);                                                            \
    }
LUT4_RUNS(lut4_finish_plain, STORED)
LUT4_RUNS(lut4_finish_signs, SCALED | SHIFTED | PACKED)
LUT4_RUNS(lut4_finish_unit, SCALED | SKIP | STORED | PACKED)
LUT4_RUNS(lut4_finish_gated_unit, SCALED | SKIP | STORED | MEANT | PACKED)
LUT4_RUNS(lut4_finish_any, f->parts)
#undef LUT4_RUNS

static void lut4_finish_four(const lut4_mve *s, const lut4_fused *f, const uint8_t *arena, int32_t oy, int32_t c) {
    switch (f->parts) {
        case STORED:
            lut4_finish_plain(s, f, arena, oy, c);
            break;
        case SCALED | SHIFTED | PACKED:
            lut4_finish_signs(s, f, arena, oy, c);
            break;
        case SCALED | SKIP | STORED | PACKED:
            lut4_finish_unit(s, f, arena, oy, c);
            break;
        case SCALED | SKIP | STORED | MEANT | PACKED:
            lut4_finish_gated_unit(s, f, arena, oy, c);
            break;
        default:
            lut4_finish_any(s, f, arena, oy, c);
    }
}

// Products of +1 that an odd number of channels leaves in the sum of a pixel; see r2b_lut4.h.
LUT4_SELDOM int32_t lut4_excess(const r2b_bconv_lut4 *layer, int32_t y, int32_t x) {
    const r2b_window *const g = &layer->window;
    if (g->in_channels % 2 == 0) return 0;
    if (layer->pad_value != 0) return g->kernel_y * g->kernel_x;
    const r2b_taps ty = r2b_taps_inside(y * g->stride_y - g->pad_top, g->in_height, g->kernel_y, g->dilation_y);
    const r2b_taps tx = r2b_taps_inside(x * g->stride_x - g->pad_left, g->in_width, g->kernel_x, g->dilation_x);
    return (ty.last - ty.first) * (tx.last - tx.first);
}

// TILES: all pixels of the output rows oy.. .
LUT4_OFTEN void lut4_finish_tiles(const lut4_mve *s, const r2b_epilogue *epilogue, uint8_t *arena, int32_t oy) {
    const r2b_window *const g = &s->layer->window;
    const int32_t step = s->layer->vectors * LUT4_LANES;
    const uint32x4_t offsets = vmulq_n_u32(vidupq_n_u32(0, 1), (uint32_t)(2 * step));
    for (int32_t i = 0; i < lut4_runs(s->layer); i++) {
        const lut4_run r = lut4_run_of(s, oy, i);
        for (int32_t p = 0; p < r.count; p++) {
            const int16_t *lanes = s->lanes + r.lane + 2 * p;
            const int32x4_t excess = vdupq_n_s32(lut4_excess(s->layer, r.y, r.x + p));
            for (int32_t c = 0; c < g->out_channels; c += 4, lanes += 4 * step) {
                const int32x4_t half = vldrhq_gather_offset_s32(lanes, offsets);
                vst1q_f32(s->tile + c, vcvtq_f32_s32(vsubq_s32(vaddq_s32(half, half), excess)));
            }
            r2b_epilogue_tile(epilogue, arena, r.y * g->out_width + r.x + p, s->tile);
        }
    }
}

#endif  // R2B_LUT4_MVE_EPILOGUE_H
