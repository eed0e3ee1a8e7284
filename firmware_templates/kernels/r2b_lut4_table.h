// SPDX-License-Identifier: MIT-0
//
// r2b_lut4_table.h: the tables of the input; see r2b_lut4.h for their order.
//
// For a word of 32 channels the pixels of a vector are gathered, inverted (a bit is 1 where x = +1, which equals a
// weight's bit 0) and transposed: from words of 8 nibbles, one of each group of 4 channels, to words of a group's
// nibbles. From there
//     entry 0 = b0 + b1 + b2 + b3, where b_k holds bit k of all nibbles;
// setting bit k of n takes b_k away and adds what it was not: 1 - 2 b_k. In the order of a Gray code each entry is the
// one before it plus or minus one of these. Pixels of a border of zeros have b_k = 0, hold 2 from the start and add 0.
//
// A family may have its own: #define LUT4_GROUPS(nibbles, constants, groups, table), see lut4_groups, and LUT4_MOVE(to,
// from, bytes), which gets multiples of 128 bytes.
#ifndef R2B_LUT4_TABLE_H
#define R2B_LUT4_TABLE_H

#include "r2b_lut4.h"

// Where the pixels of a vector lie in a row of tables.
typedef struct {
    const uint32_t *pixels[LUT4_PIXELS];  // null: in the border
    uint32_t constants[LUT4_WORDS];       // see lut4_groups
    int32_t inside;                       // pixels in the map
} lut4_vector;

// Exchanges bits of a that `mask` has, `shift` places up, with those of b.
#define LUT4_SWAP(a, b, shift, mask)                           \
    do {                                                       \
        const uint32_t both = ((a) >> (shift) ^ (b)) & (mask); \
        (b) ^= both;                                           \
        (a) ^= both << (shift);                                \
    } while (0)

// Nibble j of w[i] to nibble i of w[j].
static inline void lut4_transpose(uint32_t w[8]) {
    for (int32_t i = 0; i < 4; i++) LUT4_SWAP(w[i], w[i + 4], 16, 0x0000ffffu);
    for (int32_t i = 0; i < 8; i += i % 2 ? 3 : 1) LUT4_SWAP(w[i], w[i + 2], 8, 0x00ff00ffu);
    for (int32_t i = 0; i < 8; i += 2) LUT4_SWAP(w[i], w[i + 1], 4, 0x0f0f0f0fu);
}

// The tables of `groups` groups. nibbles [N / 2][8]: word i of an entry has group g of these pixels; constants: for
// each of these words 1 for each of its pixels in the map, then for each word 2 for each of the others.
static inline void lut4_groups(const uint32_t *nibbles, const uint32_t *constants, int32_t groups, uint32_t *table) {
    for (int32_t g = 0; g < groups; g++, table += LUT4_GROUP_BYTES / 4) {
        for (int32_t i = 0; i < LUT4_WORDS / 2; i++) {
            uint32_t entry = constants[LUT4_WORDS / 2 + i];
            uint32_t change[4];
            for (int32_t k = 0; k < 4; k++) {
                const uint32_t bits = nibbles[8 * i + g] >> k & 0x11111111u;
                entry += bits;
                change[k] = constants[i] - 2 * bits;
            }
            uint32_t *const to = table + i;
#define LUT4_ENTRY(n) to[(n) * (LUT4_WORDS / 2)] = entry
            LUT4_ENTRY(0);
            entry += change[0], LUT4_ENTRY(1);
            entry += change[1], LUT4_ENTRY(3);
            entry -= change[0], LUT4_ENTRY(2);
            entry += change[2], LUT4_ENTRY(6);
            entry += change[0], LUT4_ENTRY(7);
            entry -= change[1], LUT4_ENTRY(5);
            entry -= change[0], LUT4_ENTRY(4);
            entry += change[3], LUT4_ENTRY(12);
            entry += change[0], LUT4_ENTRY(13);
            entry += change[1], LUT4_ENTRY(15);
            entry -= change[0], LUT4_ENTRY(14);
            entry -= change[2], LUT4_ENTRY(10);
            entry += change[0], LUT4_ENTRY(11);
            entry -= change[1], LUT4_ENTRY(9);
            entry -= change[0], LUT4_ENTRY(8);
#undef LUT4_ENTRY
        }
    }
}

#ifndef LUT4_GROUPS
#define LUT4_GROUPS lut4_groups
#endif
#ifndef LUT4_MOVE
#define LUT4_MOVE memmove
#endif

// The pixels of vector v of a phase that begins at column `phase`, for output rows oy.. and kernel row ky.
static void lut4_find_pixels(const lut4_state *s, const uint32_t *input, int32_t oy, int32_t ky, int32_t phase,
                             int32_t v, lut4_vector *found) {
    const r2b_window *const g = &s->layer->window;
    const int32_t words = (g->in_channels + 31) / 32;
    const int32_t segment = LUT4_PIXELS / s->layer->rows;
    const int32_t first = v * LUT4_PIXELS * g->stride_x + phase;
    const int32_t columns = g->in_width > first ? (g->in_width - first + g->stride_x - 1) / g->stride_x : 0;
    const int32_t used = columns < segment ? columns : segment;
    for (int32_t i = 0; i < LUT4_WORDS / 2; i++) found->constants[i] = 0;
    found->inside = 0;
    for (int32_t r = 0, x = 0; r < s->layer->rows; r++) {
        const int32_t y = (oy + r) * g->stride_y - g->pad_top + ky * g->dilation_y;
        const int32_t count = y >= 0 && y < g->in_height ? used : 0;
        const uint32_t *pixel = input + (count > 0 ? y * g->in_width + first : 0) * words;
        int32_t i = 0;
        for (; i < count; i++, x++, pixel += g->stride_x * words) {
            found->pixels[x] = pixel;
            found->constants[x % (LUT4_WORDS / 2)] |= 1u << x / (LUT4_WORDS / 2) * 4;
        }
        for (; i < segment; i++) found->pixels[x++] = NULL;
        found->inside += count;
    }
    for (int32_t i = 0; i < LUT4_WORDS / 2; i++) {
        if (s->layer->pad_value != 0) found->constants[i] = 0x11111111u;
        found->constants[i + LUT4_WORDS / 2] = 2 * (0x11111111u - found->constants[i]);
    }
}

// The tables of one row of a vector.
static void lut4_fill_slot(const lut4_state *s, const lut4_vector *vector, uint32_t *table) {
    const int32_t channels = s->layer->window.in_channels;
    const int32_t pad_value = s->layer->pad_value;
    if (vector->inside == 0 && pad_value == 0) {
        memset(table, 0x22, (size_t)lut4_slot_bytes(s));
        return;
    }
    for (int32_t c = 0; c < channels; c += 32) {
        const uint32_t existing = channels - c < 32 ? (1u << (channels - c)) - 1u : UINT32_MAX;
        const uint32_t border = pad_value > 0 ? UINT32_MAX : pad_value < 0 ? ~existing : 0u;
        const int32_t left = s->groups - c / 4;
        uint32_t nibbles[LUT4_WORDS / 2][8];
        for (int32_t i = 0; i < LUT4_WORDS / 2; i++) {
            const uint32_t *const *const pixels = vector->pixels + i;
            for (int32_t j = 0; j < 8; j++) {
                const uint32_t *const pixel = pixels[LUT4_WORDS / 2 * j];
                nibbles[i][j] = pixel ? ~pixel[c / 32] : border;
            }
            lut4_transpose(nibbles[i]);
        }
        LUT4_GROUPS(nibbles[0], vector->constants, left < 8 ? left : 8, table);
        table += 8 * (LUT4_GROUP_BYTES / 4);
    }
}

// The tables for the output rows oy.. : those that the rows before have made are moved, the others are new.
LUT4_OFTEN void lut4_fill_tables(const lut4_state *s, const uint32_t *input, int32_t oy) {
    const r2b_window *const g = &s->layer->window;
    const int32_t kept = oy == 0 ? 0 : s->kept;
    const size_t slot = (size_t)lut4_slot_bytes(s);
    uint8_t *tables = s->tables;
    for (int32_t p = 0; p < s->layer->phases; p++) {
        const int32_t column = p * g->dilation_x - g->pad_left;
        const int32_t phase = column - lut4_floor_div(column, g->stride_x) * g->stride_x;
        for (int32_t v = 0; v < s->layer->vectors; v++, tables += lut4_vector_bytes(s)) {
            if (kept > 0) LUT4_MOVE(tables, tables + (size_t)(g->kernel_y - kept) * slot, (size_t)kept * slot);
            for (int32_t ky = kept; ky < g->kernel_y; ky++) {
                lut4_vector vector;
                lut4_find_pixels(s, input, oy, ky, phase, v, &vector);
                lut4_fill_slot(s, &vector, (uint32_t *)(void *)(tables + (size_t)ky * slot));
            }
        }
    }
}

#endif  // R2B_LUT4_TABLE_H
