// SPDX-License-Identifier: MIT-0
//
// r2b_lut4_mve_table.h: the tables of the input for r2b_lut4_mve.h.
//
// For a word of 32 channels, 8 vectors of 4 pixels each are read, inverted (a bit is 1 where x = +1, which equals a
// weight's bit 0) and their nibbles transposed: from vectors of pixels to vectors of groups. From there as in
// r2b_lut4_table.h: with b_k the vector of the nibbles' bits k,
//     entry 0 = b_0 + b_1 + b_2 + b_3,
// and setting bit k of the index adds 1 - 2 b_k. Pixels beyond a border of zeros have b_k = 0, hold 2 from the start
// and add 0 (`ones` is 0 for them).
#ifndef R2B_LUT4_MVE_TABLE_H
#define R2B_LUT4_MVE_TABLE_H

#include "r2b_lut4_mve.h"

// Where the pixels of a vector lie in a row of tables: 8 times 4 of them.
typedef struct {
    const uint32_t *pixels[8];
    mve_pred16_t inside[8];
    uint32x4_t ones;  // a 1 in the nibble of each pixel of the map
    int is_empty;     // none is inside
} lut4_source;

// `bytes`: a multiple of 64. (GCC 12 makes an addition of each address, up to two for a load.)
static inline void lut4_copy(uint8_t *to, const uint8_t *from, int32_t bytes) {
    uint8x16_t a, b, c, d;
    if (bytes < 64) return;
    __asm__ volatile(
        "dls lr, %[count]\n"
        "1:\tvldrw.u32 %q[a], [%[from]], #16\n\t"
        "vldrw.u32 %q[b], [%[from]], #16\n\t"
        "vldrw.u32 %q[c], [%[from]], #16\n\t"
        "vldrw.u32 %q[d], [%[from]], #16\n\t"
        "vstrw.32 %q[a], [%[to]], #16\n\t"
        "vstrw.32 %q[b], [%[to]], #16\n\t"
        "vstrw.32 %q[c], [%[to]], #16\n\t"
        "vstrw.32 %q[d], [%[to]], #16\n\t"
        "le lr, 1b"
        : [to] "+r"(to), [from] "+r"(from), [a] "=&w"(a), [b] "=&w"(b), [c] "=&w"(c), [d] "=&w"(d)
        : [count] "r"(bytes / 64)
        : "lr", "memory");
}

// The pixels of vector v of a phase that begins at column `phase`, for output rows oy.. and kernel row ky.
static lut4_source lut4_find_pixels(const lut4_mve *s, const uint32_t *input, int32_t oy, int32_t ky, int32_t phase,
                                    int32_t v) {
    const r2b_window *const g = &s->layer->window;
    const int32_t words = (g->in_channels + 31) / 32;
    const int32_t segment = LUT4_PIXELS / s->layer->rows;
    lut4_source found = {.ones = vdupq_n_u32(0), .is_empty = 1};
    int32_t y = oy * g->stride_y - g->pad_top + ky * g->dilation_y;
    int32_t left = 0;  // columns in the row
    const uint32_t *at = input;
    for (int32_t j = 0; j < 8; j++, left -= 4, at += 4 * g->stride_x * words) {
        if (j * 4 % segment == 0) {
            const int32_t column = v * LUT4_PIXELS * g->stride_x + phase;
            left = y >= 0 && y < g->in_height ? lut4_floor_div(g->in_width - column - 1, g->stride_x) + 1 : 0;
            at = input + (y * g->in_width + column) * words;
            y += g->stride_y * s->row_step;
        }
        const mve_pred16_t inside = vctp32q((uint32_t)(left > 0 ? left : 0));
        found.pixels[j] = at;
        found.inside[j] = inside;
        found.ones = vorrq_m_u32(found.ones, found.ones, vdupq_n_u32(1u << 4 * j), inside);
        found.is_empty = found.is_empty && left <= 0;
    }
    return found;
}

// Exchanges the upper halves of the elements of x[a] with the lower halves of those of x[b].
#define LUT4_EXCHANGE(a, b, type, half)                                                               \
    do {                                                                                              \
        const uint32x4_t low = x[a], high = x[b];                                                     \
        x[a] = vreinterpretq_u32_##type(                                                              \
            vsliq_n_##type(vreinterpretq_##type##_u32(low), vreinterpretq_##type##_u32(high), half)); \
        x[b] = vreinterpretq_u32_##type(                                                              \
            vsriq_n_##type(vreinterpretq_##type##_u32(high), vreinterpretq_##type##_u32(low), half)); \
    } while (0)

// Nibble j of the lanes of x[i] to nibble i of the lanes of x[j].
static inline void lut4_transpose(uint32x4_t x[8]) {
#define vreinterpretq_u32_u32(v) (v)
    for (int32_t i = 0; i < 4; i++) LUT4_EXCHANGE(i, i + 4, u32, 16);
#undef vreinterpretq_u32_u32
    for (int32_t i = 0; i < 8; i += i % 2 ? 3 : 1) LUT4_EXCHANGE(i, i + 2, u16, 8);
    for (int32_t i = 0; i < 8; i += 2) LUT4_EXCHANGE(i, i + 1, u8, 4);
}

// The table of a group. `x`: its nibbles; `start`: 16 * -2, and 2 for each pixel that is none. (GCC 12 keeps too few of
// the changes in registers.)
static inline void lut4_write_table(uint8x16_t x, uint8x16_t ones, uint8x16_t start, uint8_t *table) {
    const uint8x16_t bit = vdupq_n_u8(0x11);
    uint8x16_t entry = start, d1, d2, d3;
#define LUT4_CHANGE(d) /* from b_k: entry + b_k; ones - 2 b_k */ \
    "vand %q[" d "], %q[" d                                      \
    "], %q[bit]\n\t"                                             \
    "vadd.i8 %q[entry], %q[entry], %q[" d                        \
    "]\n\t"                                                      \
    "vadd.i8 %q[" d "], %q[" d "], %q[" d                        \
    "]\n\t"                                                      \
    "vsub.i8 %q[" d "], %q[ones], %q[" d "]\n\t"
#define LUT4_ENTRY(n) "vstrw.32 %q[entry], [%[table], #16 * " #n "]\n\t"
#define LUT4_NEXT(way, d, n) "v" way ".i8 %q[entry], %q[entry], %q[" d "]\n\t" LUT4_ENTRY(n)
    __asm__ volatile(
        "vshr.u8 %q[d1], %q[x], #1\n\t"
        "vshr.u8 %q[d2], %q[x], #2\n\t"
        "vshr.u8 %q[d3], %q[x], #3\n\t"                                                                            //
        LUT4_CHANGE("x") LUT4_CHANGE("d1") LUT4_CHANGE("d2") LUT4_CHANGE("d3")                                     //
        LUT4_ENTRY(0) LUT4_NEXT("add", "x", 1) LUT4_NEXT("add", "d1", 3) LUT4_NEXT("sub", "x", 2)                  //
        LUT4_NEXT("add", "d2", 6) LUT4_NEXT("add", "x", 7) LUT4_NEXT("sub", "d1", 5) LUT4_NEXT("sub", "x", 4)      //
        LUT4_NEXT("add", "d3", 12) LUT4_NEXT("add", "x", 13) LUT4_NEXT("add", "d1", 15) LUT4_NEXT("sub", "x", 14)  //
        LUT4_NEXT("sub", "d2", 10) LUT4_NEXT("add", "x", 11) LUT4_NEXT("sub", "d1", 9) LUT4_NEXT("sub", "x", 8)
        : [entry] "+w"(entry), [x] "+w"(x), [d1] "=&w"(d1), [d2] "=&w"(d2), [d3] "=&w"(d3)
        : [ones] "w"(ones), [bit] "w"(bit), [table] "r"(table)
        : "memory");
#undef LUT4_NEXT
#undef LUT4_ENTRY
#undef LUT4_CHANGE
}

// The tables of one row of a vector.
static void lut4_fill_slot(const lut4_mve *s, const lut4_source *source, uint8_t *table) {
    const r2b_window *const g = &s->layer->window;
    const int32_t pad_value = s->layer->pad_value;
    const int32_t words = (g->in_channels + 31) / 32;
    const uint32x4_t offsets = vmulq_n_u32(vidupq_n_u32(0, 4), (uint32_t)(g->stride_x * words));
    const uint32x4_t ones = pad_value == 0 ? source->ones : vdupq_n_u32(0x11111111u);
    const uint8x16_t halves = vreinterpretq_u8_u32(vsubq_u32(vdupq_n_u32(0x22222222u), vaddq_u32(ones, ones)));
    const uint8x16_t start = vsubq_u8(halves, vdupq_n_u8(0x20));
    if (source->is_empty && pad_value == 0) {
        for (int32_t i = 0; i < s->groups; i++, table += s->group_bytes) {
            for (int32_t n = 0; n < LUT4_TABLE_BYTES; n += 16) vst1q_u8(table + n, vdupq_n_u8(0x02));
        }
        return;
    }
    for (int32_t w = 0; w < words; w++) {
        const int32_t left = g->in_channels - 32 * w;
        const uint32_t existing = left < 32 ? (1u << left) - 1u : UINT32_MAX;
        const uint32_t border = pad_value > 0 ? UINT32_MAX : pad_value < 0 ? ~existing : 0u;
        const int32_t groups = s->groups - 8 * w < 8 ? s->groups - 8 * w : 8;
        uint32x4_t x[8];
        for (int32_t j = 0; j < 8; j++) {
            const mve_pred16_t inside = source->inside[j];
            x[j] = vldrwq_gather_offset_z_u32(source->pixels[j] + w, offsets, inside);
            x[j] = vmvnq_m_u32(vdupq_n_u32(border), x[j], inside);
        }
        lut4_transpose(x);
#pragma GCC unroll 1
        for (int32_t i = 0; i < groups; i++, table += s->group_bytes) {
            lut4_write_table(vreinterpretq_u8_u32(x[i]), vreinterpretq_u8_u32(ones), start, table);
        }
    }
}

#endif  // R2B_LUT4_MVE_TABLE_H
