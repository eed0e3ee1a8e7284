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
// What a channel needs is worked out once a layer. Two pixels are done at a time, 16 apart in a vector: one word of
// lanes. The bits of 4 channels are 4 predicates: a sum over the lanes of 1, 2, 4 and 8 where t is below the threshold.
// Where a sign is inverted the lane is negative and the word begins with its bit set. TILES: any epilogue: the lanes of
// all channels wait for the end of the rows, then a pixel after the other is a tile.
#ifndef R2B_LUT4_MVE_EPILOGUE_H
#define R2B_LUT4_MVE_EPILOGUE_H

#include "r2b_lut4_mve.h"
#include "r2b_lut4_mve_signs.h"

enum {  // what there is to do
    SHIFTED = 1,
    SKIP = 2,
    STORED = 4,
    MEANT = 8,
    PACKED = 16,
    SCALED = 32,    // by anything but 2
    IN_PLACE = 64,  // SCALED, SKIP, STORED where skip is, PACKED, and no other but MEANT
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
    if ((f.parts | MEANT) == (SCALED | SKIP | STORED | MEANT | PACKED) && f.skip == f.store) f.parts |= IN_PLACE;
    return f;
}

// MVE takes subnormal numbers for 0, and gives none: below a positive subnormal is below the least normal number.
static inline float32x4_t lut4_normal(float32x4_t limit) {
    const uint32x4_t bits = vreinterpretq_u32_f32(limit);
    const mve_pred16_t is_normal = vcmpcsq_n_u32(vsubq_n_u32(bits, 1), 0x007fffffu);
    return vpselq_f32(limit, vreinterpretq_f32_u32(vdupq_n_u32(0x00800000u)), is_normal);
}

// up and down: see above; up = s and down = slope where SHIFTED. limit: of the signs. bits: their places in a word.
LUT4_SELDOM void lut4_find_constants(const lut4_fused *f, const uint8_t *arena, int32_t channels,
                                     lut4_four *constants) {
    const float32x4_t one = vdupq_n_f32(1.0f);
    const float32x4_t zero = vdupq_n_f32(0.0f);
    for (int32_t c = 0; c < channels; c += 4) {
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
        constants[c / 4] = k;
    }
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

// What a loop over pairs of pixels moves along: the lanes of channels c.. , and where the two pixels' floats and signs
// are.
typedef struct {
    uint32x4_t lanes;  // addresses, a word before the next ones
    const float *skip[2];
    float *store[2];
    uint32_t *words;
} lut4_pairs;

// The next words of lanes of 4 channels. (GCC 12 has the addresses written back through memory.)
static inline int16x8_t lut4_next_lanes(uint32x4_t *lanes) {
    int16x8_t found;
    __asm__ volatile("vldrw.u32 %q[found], [%q[lanes], #4]!" : [found] "=&w"(found), [lanes] "+w"(*lanes) : : "memory");
    return found;
}

// From dot / 2 of 4 channels of a pixel to t.
static inline __attribute__((always_inline)) float32x4_t lut4_finished(int parts, const lut4_four *k, int32x4_t half,
                                                                       float32x4_t skip) {
    const float32x4_t d = vcvtq_f32_s32(half);
    if (parts & SHIFTED) return lut4_add_bent(skip, vfmaq_f32(k->offset, d, k->up), vdupq_n_f32(1.0f), k->down);
    return (parts & SCALED) ? lut4_add_bent(skip, d, k->up, k->down) : d;
}

// `count` pairs of pixels. If `is_single` the second of each is none: it stands where the first is, which is written
// after it. Inlined, with `parts` a constant where speed counts.
static inline __attribute__((always_inline)) float32x4_t lut4_finish_pairs(int parts, const lut4_four *k,
                                                                           lut4_pairs *at, int32_t count, int is_single,
                                                                           int32_t channels, float32x4_t sum) {
    const float32x4_t none = vdupq_n_f32(0.0f);
#pragma GCC unroll 1
    for (; count > 0; count--) {
        const int16x8_t lanes = lut4_next_lanes(&at->lanes);
        const int32x4_t first = (parts & SCALED) ? vmovlbq_s16(lanes) : vshllbq_n_s16(lanes, 1);
        const int32x4_t second = (parts & SCALED) ? vmovltq_s16(lanes) : vshlltq_n_s16(lanes, 1);
        const float32x4_t t1 = lut4_finished(parts, k, second, (parts & SKIP) ? vld1q_f32(at->skip[1]) : none);
        const float32x4_t t0 = lut4_finished(parts, k, first, (parts & SKIP) ? vld1q_f32(at->skip[0]) : none);
        if (parts & SKIP) {
            at->skip[0] += channels;
            at->skip[1] += channels;
        }
        if (parts & STORED) {
            vst1q_f32(at->store[1], t1);
            vst1q_f32(at->store[0], t0);
            at->store[0] += channels;
            at->store[1] += channels;
        }
        if (parts & MEANT) {
            sum = vaddq_f32(sum, t0);
            if (!is_single) sum = vaddq_f32(sum, t1);
        }
        if (parts & PACKED) {
            at->words[1] = lut4_add_bits(at->words[1], t1, k->limit, k->bits);
            at->words[0] = lut4_add_bits(at->words[0], t0, k->limit, k->bits);
            at->words += 2;
        }
    }
    return sum;
}

// One of a pair: d = dot / 2 becomes t, and its bits go to `word`; `mean` is what comes between. As lut4_finished and
// lut4_add_bits, for IN_PLACE.
#define LUT4_PIXEL(d, map, word, mean) \
    "vldrw.u32 %q[t], [%[" map         \
    "]]\n\t"                           \
    "vcvt.f32.s32 %q[" d "], %q[" d    \
    "]\n\t"                            \
    "vpte.f32 ge, %q[" d               \
    "], zr\n\t"                        \
    "vfmat.f32 %q[t], %q[" d           \
    "], %q[up]\n\t"                    \
    "vfmae.f32 %q[t], %q[" d           \
    "], %q[down]\n\t"                  \
    "vstrw.32 %q[t], [%[" map          \
    "]]\n\t"                           \
    "add %[" map "], %[" map "], %[stride]\n\t" mean "vpt.f32 gt, %q[limit], %q[t]\n\t"
#define LUT4_PAIRS(mean0, bits0, mean1, bits1)                                                               \
    "dls lr, %[count]\n"                                                                                     \
    "1:\tvldrw.u32 %q[d0], [%q[lanes], #4]!\n\t"                                                             \
    "ldrd %[word0], %[word1], [%[words]]\n\t"                                                                \
    "vmovlt.s16 %q[d1], %q[d0]\n\t"                                                                          \
    "vmovlb.s16 %q[d0], %q[d0]\n\t" LUT4_PIXEL(                                                              \
        "d0", "map0", "word0", mean0) "vaddvat.s32 %[word0], " bits0                                         \
                                      "\n\t" LUT4_PIXEL("d1", "map1", "word1",                               \
                                                        mean1) "vaddvat.s32 %[word1], " bits1                \
                                                               "\n\t"                                        \
                                                               "strd %[word0], %[word1], [%[words]], #8\n\t" \
                                                               "le lr, 1b"
// What is added to the sum; the register of d, which is no longer wanted, gets the bits: there are 8.
#define LUT4_MEAN(d) "vadd.f32 %q[sum], %q[sum], %q[t]\n\tvldrw.u32 %q[" d "], [%[bits]]\n\t"

// `count` pairs of pixels, at least one, for IN_PLACE. GCC 12 takes 32 instructions for what is 24 here.
static inline __attribute__((always_inline)) float32x4_t lut4_pairs_in_place(int parts, const lut4_four *k,
                                                                             lut4_pairs *at, int32_t count,
                                                                             int32_t channels, float32x4_t sum) {
    float *map0 = at->store[0], *map1 = at->store[1];
    uint32_t word0, word1;
    mve_pred16_t lanes;
    int32x4_t d0, d1;
    float32x4_t t;
#define LUT4_OUTPUTS                                                                                               \
    [lanes] "+w"(at->lanes), [map0] "+r"(map0), [map1] "+r"(map1), [words] "+r"(at->words), [word0] "=&Te"(word0), \
        [word1] "=&Te"(word1), [d0] "=&w"(d0), [d1] "=&w"(d1), [t] "=&w"(t), [p0] "=Up"(lanes)
#define LUT4_INPUTS \
    [count] "r"(count), [stride] "r"(4 * channels), [up] "w"(k->up), [down] "w"(k->down), [limit] "w"(k->limit)
    if (parts & MEANT) {
        __asm__ volatile(LUT4_PAIRS(LUT4_MEAN("d0"), "%q[d0]", LUT4_MEAN("d1"), "%q[d1]")
                         : LUT4_OUTPUTS, [sum] "+w"(sum)
                         : LUT4_INPUTS, [bits] "r"(&k->bits)
                         : "lr", "memory");
    } else {
        __asm__ volatile(LUT4_PAIRS("", "%q[bits]", "", "%q[bits]")
                         : LUT4_OUTPUTS
                         : LUT4_INPUTS, [bits] "w"(k->bits)
                         : "lr", "memory");
    }
#undef LUT4_INPUTS
#undef LUT4_OUTPUTS
    return sum;
}
#undef LUT4_MEAN
#undef LUT4_PAIRS
#undef LUT4_PIXEL

// FLOATS: channels c..c + 3 of the vectors at hand. The first half of a vector goes with the second, of which never
// more pixels are in the map, in runs of pixels that lie side by side: an octet of either, or two.
static inline __attribute__((always_inline)) void lut4_finish_four_of(const lut4_mve *s, const lut4_fused *f, int parts,
                                                                      int32_t c) {
    const int32_t channels = s->layer->window.out_channels;
    const uint32x4_t offsets = vmulq_n_u32(vidupq_n_u32(0, 1), (uint32_t)(s->vectors * LUT4_LANES * 2));
    const lut4_four *const k = &s->constants[c / 4];
    const int32_t together = s->layer->rows < 4 ? 2 : 1;
    float32x4_t sum = (parts & MEANT) ? vld1q_f32(f->sums + c) : vdupq_n_f32(0.0f);
    for (int32_t i = 0; i < 2 * s->vectors; i += together) {
        const lut4_octet *const first = s->octets + i / 2 * LUT4_OCTETS + i % 2;
        const lut4_octet *const second = first + 2;
        int32_t singles = first->count + (together == 2 ? first[1].count : 0);
        const int32_t count = second->count + (together == 2 ? second[1].count : 0);
        const int32_t at_first = first->pixel * channels + c;
        const int32_t at_second = second->pixel * channels + c;
        const int16_t *const lanes = s->lanes + i * (LUT4_LANES / 2);
        lut4_pairs at = {
            .lanes = vaddq_n_u32(offsets, (uint32_t)(uintptr_t)lanes - 4u),
            .skip = {f->skip + at_first, f->skip + at_second},
            .store = {f->store + at_first, f->store + at_second},
            .words = s->words + i * (LUT4_PIXELS / 2),
        };
        singles -= count;
        if ((parts & IN_PLACE) && count > 0) {
            sum = lut4_pairs_in_place(parts, k, &at, count, channels, sum);
        } else {
            sum = lut4_finish_pairs(parts, k, &at, count, 0, channels, sum);
        }
        if (singles == 0) continue;
        at.skip[0] = at.skip[1] = f->skip + at_first + count * channels;
        at.store[0] = at.store[1] = f->store + at_first + count * channels;
        sum = lut4_finish_pairs(parts & ~IN_PLACE, k, &at, singles, 1, channels, sum);
    }
    if (parts & MEANT) vst1q_f32(f->sums + c, sum);
}

// Each in a function of its own: together GCC keeps too few of their constants in registers.
#define LUT4_FOUR(name, parts)                                                \
    LUT4_OFTEN void name(const lut4_mve *s, const lut4_fused *f, int32_t c) { \
        lut4_finish_four_of(s, f, parts, c);                                  \
    }
LUT4_FOUR(lut4_finish_plain, STORED)
LUT4_FOUR(lut4_finish_unit, SCALED | SKIP | STORED | PACKED | IN_PLACE)
LUT4_FOUR(lut4_finish_gated_unit, SCALED | SKIP | STORED | MEANT | PACKED | IN_PLACE)
LUT4_FOUR(lut4_finish_any, f->parts)
#undef LUT4_FOUR

static void lut4_finish_four(const lut4_mve *s, const lut4_fused *f, int32_t c) {
    if ((f->parts & PACKED) && c % 32 == 0) {
        const uint32x4_t flip = vdupq_n_u32(f->signs->flip ? f->signs->flip[c / 32] : 0u);
        for (int32_t i = 0; i < s->vectors * LUT4_PIXELS; i += 4) vst1q_u32(s->words + i, flip);
    }
    switch (f->parts) {
        case STORED:
            lut4_finish_plain(s, f, c);
            break;
        case SCALED | SKIP | STORED | PACKED | IN_PLACE:
            lut4_finish_unit(s, f, c);
            break;
        case SCALED | SKIP | STORED | MEANT | PACKED | IN_PLACE:
            lut4_finish_gated_unit(s, f, c);
            break;
        default:
            lut4_finish_any(s, f, c);
    }
    const int32_t channels = s->layer->window.out_channels;
    if ((f->parts & PACKED) && (c % 32 == 28 || c + 4 == channels)) {
        for (int32_t v = 0; v < s->vectors; v++) {
            lut4_write_pairs(s->octets + v * LUT4_OCTETS, s->words + v * LUT4_PIXELS, f->bits + c / 32,
                             (channels + 31) / 32);
        }
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

// TILES: all pixels of the vectors at hand.
LUT4_OFTEN void lut4_finish_tiles(const lut4_mve *s, const r2b_epilogue *epilogue, uint8_t *arena) {
    const int32_t step = s->vectors * LUT4_LANES;
    const uint32x4_t offsets = vmulq_n_u32(vidupq_n_u32(0, 1), (uint32_t)(2 * step));
    for (int32_t i = 0; i < s->vectors * LUT4_OCTETS; i++) {
        const lut4_octet *const o = &s->octets[i];
        const int32_t octet = i % LUT4_OCTETS;
        const int16_t *const first = s->lanes + i / LUT4_OCTETS * LUT4_LANES + octet % 2 * 16 + octet / 2;
        for (int32_t p = 0; p < o->count; p++) {
            const int16_t *lanes = first + 2 * p;
            const int32x4_t excess = vdupq_n_s32(lut4_excess(s->layer, o->y, o->x + p));
            for (int32_t c = 0; c < s->layer->window.out_channels; c += 4, lanes += 4 * step) {
                const int32x4_t half = vldrhq_gather_offset_s32(lanes, offsets);
                vst1q_f32(s->tile + c, vcvtq_f32_s32(vsubq_s32(vaddq_s32(half, half), excess)));
            }
            r2b_epilogue_tile(epilogue, arena, o->pixel + p, s->tile);
        }
    }
}

#endif  // R2B_LUT4_MVE_EPILOGUE_H
