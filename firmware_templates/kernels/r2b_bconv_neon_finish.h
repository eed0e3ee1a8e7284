// SPDX-License-Identifier: MIT-0
//
// r2b_bconv_neon_finish.h: the arithmetic of r2b_bconv_neon_epilogue.h, on groups of 8 channels of some pixels: 7 in
// assembly, fewer in C.
#ifndef R2B_BCONV_NEON_FINISH_H
#define R2B_BCONV_NEON_FINISH_H

#include <arm_neon.h>
#include <string.h>

#include "r2b_bconv_neon_loops.h"

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
    uint8_t flip[16];      // 16 times the byte whose bit c inverts the sign of channel c
    int16_t least[GROUP];  // the least sum that is not below `limit` where nothing is SCALED
} group_constants;

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
    "ld1 {v24.4s, v25.4s}, [%[constants]], #32\n\tldr q15, [%[constants]], #32\n\t"
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

static const uint8_t VALUES[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};

#define FINISH_SEVEN(name, parts, shift, skipped, stored, meant, packed)                                               \
    static void name(group_run g, int64_t pixel) {                                                                     \
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

// Signs of the sums alone; v16 is `least`.
#define BELOW(p) "cmgt v" #p ".8h, v16.8h, v" #p ".8h\n\t"
static void signs_of_sums(group_run g) {
    const uint8_t *flip = g.constants->flip;
    __asm__ volatile(
        "ldr q7, %[values]\n1:\n\t"
        "ld1 {v0.8h-v3.8h}, [%[sums]], #64\n\tld1 {v4.8h-v6.8h}, [%[sums]], #48\n\t"
        "ldp q15, q16, [%[flip]]\n\tadd %[flip], %[flip], %[next]\n\t" BELOW(0) BELOW(1) BELOW(2) BELOW(3) BELOW(4)
            BELOW(5) BELOW(6) TREE "subs %w[count], %w[count], #1\n\tb.ne 1b\n\t"
        : [sums] "+r"(g.sums), [flip] "+r"(flip), [staged] "+r"(g.staged), [count] "+r"(g.count)
        : [next] "r"(sizeof *g.constants), [values] "m"(VALUES)
        : "memory", "cc", VECTORS);
}

// ---- any number of pixels ------------------------------------------------------------------------------------------
//
// `parts` is a constant where it is called for what real networks do.
static inline __attribute__((always_inline)) float32x4_t bend(float32x4_t x, float32x4_t below, float32x4_t above) {
    return vbslq_f32(vcltzq_f32(x), below, above);
}

static inline __attribute__((always_inline)) void finish_some(group_run g, int parts, int32_t pixels,
                                                              int32_t channels) {
    const uint16x8_t values = vmovl_u8(vld1_u8(VALUES));
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
    if (parts == PACKED) {  // of 7 pixels always: a sum that does not count gives a byte that nobody writes
        signs_of_sums(*g);
        return;
    }
    if (pixels == PIXELS) {
        switch (parts) { PASSES(SEVEN) }
    } else {
        switch (parts) { PASSES(SOME) }
    }
    finish_some(*g, parts, pixels, channels);
#undef SEVEN
#undef SOME
}

#endif  // R2B_BCONV_NEON_FINISH_H
