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
// The work is done for a group of 8 channels of up to 7 pixels at a time: the channels' constants stay in registers. A
// sign becomes a bit by FCMGT, narrowing to a byte for each channel, AND with 1, 2, 4 .. 128, and a sum over the bytes,
// for all pixels in one tree of ADDP. That gives a byte for each pixel; they wait in `staged` until a chunk of channels
// is complete. Tiles of 7 pixels are done in assembly, others in C.
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
    float up[GROUP];     // s where SHIFTED
    float down[GROUP];   // the slope where SHIFTED
    float limit[GROUP];  // of the signs
    float offset[GROUP];
    uint8_t flip[16];  // 16 times the byte whose bit c inverts the sign of channel c
} group_constants;

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

// ---- 7 pixels ------------------------------------------------------------------------------------------------------
//
// Registers: v0-v6 the pixels' sums d, then their masks; v7 1, 2, 4 .. 128 twice; v14 1.0; v15 flip; v16, v17 up;
// v18, v19 down; v20, v21 limit; v22, v23 sums of the row; v24, v25 offset. Two pixels are under way at once, each with
// six registers: d, then t, then factors. Macros whose name ends in a number or RAW are variants: with an offset (1),
// without (0), or no scale at all (RAW); with a skip (1) or without (0).
#define EVEN 26, 27, 28, 29, 30, 31
#define ODD 8, 9, 10, 11, 12, 13
#define PAIR(step, p, q) step(p, EVEN) step(q, ODD)
#define LONE(step, p, q) step(p, EVEN)
#define IF_1(...) __VA_ARGS__
#define IF_0(...)
#define IF_RAW(...)

#define WIDEN_0_(p, d0, d1, t0, t1, m0, m1) "sxtl v" #d0 ".4s, v" #p ".4h\n\tsxtl2 v" #d1 ".4s, v" #p ".8h\n\t"
#define WIDEN_0(...) WIDEN_0_(__VA_ARGS__)
#define WIDEN_1(...) WIDEN_0_(__VA_ARGS__)
#define WIDEN_RAW_(p, d0, d1, t0, t1, m0, m1) \
    "sshll v" #d0 ".4s, v" #p ".4h, #1\n\tsshll2 v" #d1 ".4s, v" #p ".8h, #1\n\t"
#define WIDEN_RAW(...) WIDEN_RAW_(__VA_ARGS__)
#define LOAD_SKIP_(p, d0, d1, t0, t1, m0, m1) "ld1 {v" #t0 ".4s, v" #t1 ".4s}, [%[skip]], %[pixel]\n\t"
#define LOAD_SKIP(...) LOAD_SKIP_(__VA_ARGS__)
#define TO_FLOAT(to, from) "scvtf v" #to ".4s, v" #from ".4s\n\t"
#define SELECT(mask, then, other) "bsl v" #mask ".16b, v" #then ".16b, v" #other ".16b\n\t"
// The factors of d: up or down. With an offset v goes into the factors' registers, and the slope or 1 into those of d.
#define SCALE_0_(p, d0, d1, t0, t1, m0, m1)                                                                        \
    "cmlt v" #m0 ".4s, v" #d0 ".4s, #0\n\tcmlt v" #m1 ".4s, v" #d1 ".4s, #0\n\t" TO_FLOAT(d0, d0) TO_FLOAT(d1, d1) \
        SELECT(m0, 18, 16) SELECT(m1, 19, 17)
#define SCALE_0(...) SCALE_0_(__VA_ARGS__)
#define SCALE_1_(p, d0, d1, t0, t1, m0, m1)                                                               \
    TO_FLOAT(d0, d0)                                                                                      \
    TO_FLOAT(d1, d1)                                                                                      \
    "mov v" #m0 ".16b, v24.16b\n\tmov v" #m1                                                              \
    ".16b, v25.16b\n\t"                                                                                   \
    "fmla v" #m0 ".4s, v" #d0 ".4s, v16.4s\n\tfmla v" #m1 ".4s, v" #d1                                    \
    ".4s, v17.4s\n\t"                                                                                     \
    "fcmlt v" #d0 ".4s, v" #m0 ".4s, #0.0\n\tfcmlt v" #d1 ".4s, v" #m1 ".4s, #0.0\n\t" SELECT(d0, 18, 14) \
        SELECT(d1, 19, 14)
#define SCALE_1(...) SCALE_1_(__VA_ARGS__)
#define SCALE_RAW_(p, d0, d1, t0, t1, m0, m1) TO_FLOAT(t0, d0) TO_FLOAT(t1, d1)
#define SCALE_RAW(...) SCALE_RAW_(__VA_ARGS__)
#define APPLY_0_(p, d0, d1, t0, t1, m0, m1) \
    "fmul v" #t0 ".4s, v" #d0 ".4s, v" #m0 ".4s\n\tfmul v" #t1 ".4s, v" #d1 ".4s, v" #m1 ".4s\n\t"
#define APPLY_0(...) APPLY_0_(__VA_ARGS__)
#define APPLY_1_(p, d0, d1, t0, t1, m0, m1) \
    "fmla v" #t0 ".4s, v" #d0 ".4s, v" #m0 ".4s\n\tfmla v" #t1 ".4s, v" #d1 ".4s, v" #m1 ".4s\n\t"
#define APPLY_1(...) APPLY_1_(__VA_ARGS__)
#define APPLY_RAW(...)
#define STORE_(p, d0, d1, t0, t1, m0, m1) "st1 {v" #t0 ".4s, v" #t1 ".4s}, [%[store]], %[pixel]\n\t"
#define STORE(...) STORE_(__VA_ARGS__)
#define ADD_UP_(p, d0, d1, t0, t1, m0, m1) "fadd v22.4s, v22.4s, v" #t0 ".4s\n\tfadd v23.4s, v23.4s, v" #t1 ".4s\n\t"
#define ADD_UP(...) ADD_UP_(__VA_ARGS__)
#define SIGNS_(p, d0, d1, t0, t1, m0, m1)                                                                        \
    "fcmgt v" #m0 ".4s, v20.4s, v" #t0 ".4s\n\tfcmgt v" #m1 ".4s, v21.4s, v" #t1 ".4s\n\tuzp1 v" #p ".8h, v" #m0 \
    ".8h, v" #m1 ".8h\n\t"
#define SIGNS(...) SIGNS_(__VA_ARGS__)

// Two masks of 8 half-words become one of bytes, of which each keeps its bit; the tree then adds 8 bytes to one.
#define MERGE(p, q) "uzp1 v" #p ".16b, v" #p ".16b, v" #q ".16b\n\tand v" #p ".16b, v" #p ".16b, v7.16b\n\t"
#define TREE    \
    MERGE(0, 1) \
    MERGE(2, 3) MERGE(4, 5) MERGE(6, 6) "addp v0.16b, v0.16b, v2.16b\n\taddp v4.16b, v4.16b, v6.16b\n\t"    \
                                        "addp v0.16b, v0.16b, v4.16b\n\taddp v0.16b, v0.16b, v0.16b\n\t"    \
                                        "eor v0.8b, v0.8b, v15.8b\n\tst1 {v0.8b}, [%[staged]], #8\n\t"
#define CONSTANTS_RAW
#define CONSTANTS_0                                                                             \
    "ld1 {v16.4s-v19.4s}, [%[constants]], #64\n\tld1 {v20.4s, v21.4s}, [%[constants]], #32\n\t" \
    "ld1 {v24.4s, v25.4s}, [%[constants]], #32\n\tld1 {v15.16b}, [%[constants]], #16\n\t"
#define CONSTANTS_1 CONSTANTS_0

#define FINISH(each, p, q, shift, skipped, stored, meant, packed)                                 \
    each(WIDEN_##shift, p, q) IF_##skipped(each(LOAD_SKIP, p, q)) each(SCALE_##shift, p, q)       \
        each(APPLY_##skipped, p, q) IF_##stored(each(STORE, p, q)) IF_##meant(each(ADD_UP, p, q)) \
            IF_##packed(each(SIGNS, p, q))

// The groups of 8 channels that begin at `sums` and `first`.
typedef struct {
    const int16_t *sums;
    const group_constants *constants;
    const float *skip;
    float *store;
    float *row;       // sums
    uint8_t *staged;  // 8 bytes a group
    int32_t count;
} group_run;

#define FINISH_SEVEN(name, parts, shift, skipped, stored, meant, packed)                                               \
    static void name(group_run g, int64_t pixel) {                                                                     \
        static const uint8_t VALUES[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};                  \
        __asm__ volatile(                                                                                              \
            "ldr q7, %[values]\n\tfmov v14.4s, #1.0\n1:\n\t"                                                           \
            "ld1 {v0.8h-v3.8h}, [%[sums]], #64\n\tld1 {v4.8h-v6.8h}, [%[sums]], #48\n\t" CONSTANTS_##shift IF_##meant( \
                "ld1 {v22.4s, v23.4s}, [%[row]]\n\t") FINISH(PAIR, 0, 1, shift, skipped, stored, meant, packed)        \
                FINISH(PAIR, 2, 3, shift, skipped, stored, meant, packed)                                              \
                    FINISH(PAIR, 4, 5, shift, skipped, stored, meant, packed) FINISH(                                  \
                        LONE, 6, 6, shift, skipped, stored, meant, packed) IF_##packed(TREE)                           \
                        IF_##meant("st1 {v22.4s, v23.4s}, [%[row]], #32\n\t")                                          \
                            IF_##skipped("add %[skip], %[skip], %[back]\n\t") IF_##stored(                             \
                                "add %[store], %[store], %[back]\n\t") "subs %w[count], %w[count], #1\n\tb.ne 1b\n\t"  \
            : [sums] "+r"(g.sums), [constants] "+r"(g.constants), [skip] "+r"(g.skip), [store] "+r"(g.store),          \
              [row] "+r"(g.row), [staged] "+r"(g.staged), [count] "+r"(g.count)                                        \
            : [pixel] "r"(pixel), [back] "r"(32 - PIXELS * pixel), [values] "m"(VALUES)                                \
            : "memory", "cc", VECTORS);                                                                                \
    }

// ---- any number of pixels ------------------------------------------------------------------------------------------
//
// `parts` is a constant where it is called for what real networks do.
static inline __attribute__((always_inline)) float32x4_t bend(float32x4_t x, float32x4_t below, float32x4_t above) {
    return vbslq_f32(vcltzq_f32(x), below, above);
}

static inline __attribute__((always_inline)) void finish_some(group_run g, int parts, int32_t pixels,
                                                              int32_t channels) {
    static const uint16_t VALUES[8] = {1, 2, 4, 8, 16, 32, 64, 128};
    const uint16x8_t values = vld1q_u16(VALUES);
    for (int32_t i = 0; i < g.count; i++, g.sums += PIXELS * GROUP, g.staged += GROUP) {
        const group_constants *const k = &g.constants[i];
        const float32x4x2_t up = vld1q_f32_x2(k->up), down = vld1q_f32_x2(k->down);
        const float32x4x2_t limit = vld1q_f32_x2(k->limit), offset = vld1q_f32_x2(k->offset);
        const float32x4_t one = vdupq_n_f32(1.0f);
        float32x4x2_t row = {{one, one}};
        if (parts & MEANT) row = vld1q_f32_x2(g.row + i * GROUP);
        for (int32_t p = 0; p < pixels; p++) {
            const int16x8_t d = vld1q_s16(g.sums + p * GROUP);
            const int32_t at = p * channels + i * GROUP;
            float32x4_t t0 = vcvtq_f32_s32(vmovl_s16(vget_low_s16(d)));
            float32x4_t t1 = vcvtq_f32_s32(vmovl_high_s16(d));
            if (parts & SCALED) {
                float32x4_t by0 = bend(t0, down.val[0], up.val[0]), by1 = bend(t1, down.val[1], up.val[1]);
                if (parts & SHIFTED) {
                    t0 = vfmaq_f32(offset.val[0], t0, up.val[0]);
                    t1 = vfmaq_f32(offset.val[1], t1, up.val[1]);
                    by0 = bend(t0, down.val[0], one);
                    by1 = bend(t1, down.val[1], one);
                }
                t0 = (parts & SKIP) ? vfmaq_f32(vld1q_f32(g.skip + at), t0, by0) : vmulq_f32(t0, by0);
                t1 = (parts & SKIP) ? vfmaq_f32(vld1q_f32(g.skip + at + 4), t1, by1) : vmulq_f32(t1, by1);
            } else {
                t0 = vaddq_f32(t0, t0);
                t1 = vaddq_f32(t1, t1);
            }
            if (parts & STORED) {
                vst1q_f32(g.store + at, t0);
                vst1q_f32(g.store + at + 4, t1);
            }
            if (parts & MEANT) {
                row.val[0] = vaddq_f32(row.val[0], t0);
                row.val[1] = vaddq_f32(row.val[1], t1);
            }
            if (parts & PACKED) {
                const uint16x8_t below = vuzp1q_u16(vreinterpretq_u16_u32(vcltq_f32(t0, limit.val[0])),
                                                    vreinterpretq_u16_u32(vcltq_f32(t1, limit.val[1])));
                g.staged[p] = (uint8_t)vaddvq_u16(vandq_u16(below, values)) ^ k->flip[0];
            }
        }
        if (parts & MEANT) vst1q_f32_x2(g.row + i * GROUP, row);
    }
}

// ---- what real networks do -----------------------------------------------------------------------------------------
//
// X(name, parts, and for FINISH: shift, skipped, stored, meant, packed), each with code of its own.
#define ENDS(X, name, before, shift, skipped)                                    \
    X(name##_stored, (before) | STORED, shift, skipped, 1, 0, 0)                 \
    X(name##_packed, (before) | PACKED, shift, skipped, 0, 0, 1)                 \
    X(name##_meant, (before) | MEANT, shift, skipped, 0, 1, 0)                   \
    X(name##_stored_packed, (before) | STORED | PACKED, shift, skipped, 1, 0, 1) \
    X(name##_all, (before) | STORED | MEANT | PACKED, shift, skipped, 1, 1, 1)
#define PASSES(X)                             \
    X(stored_raw, STORED, RAW, RAW, 1, 0, 0)  \
    ENDS(X, scaled, SCALED, 0, 0)             \
    ENDS(X, scaled_skip, SCALED | SKIP, 0, 1) \
    ENDS(X, shifted, SCALED | SHIFTED, 1, 0)  \
    ENDS(X, shifted_skip, SCALED | SHIFTED | SKIP, 1, 1)
PASSES(FINISH_SEVEN)

static void finish_groups(int parts, const group_run *g, int32_t pixels, int32_t channels) {
#define SEVEN(name, parts, shift, skipped, stored, meant, packed) \
    case (parts):                                                 \
        name(*g, (int64_t)channels *(int64_t)sizeof(float));      \
        return;
#define SOME(name, parts, shift, skipped, stored, meant, packed) \
    case (parts):                                                \
        finish_some(*g, parts, pixels, channels);                \
        return;
    if (pixels == PIXELS) {
        switch (parts) { PASSES(SEVEN) }
    } else {
        switch (parts) { PASSES(SOME) }
    }
    finish_some(*g, parts, pixels, channels);
#undef SEVEN
#undef SOME
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
