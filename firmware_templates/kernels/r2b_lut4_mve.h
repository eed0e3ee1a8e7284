// SPDX-License-Identifier: MIT-0
//
// r2b_lut4_mve.h: binary convolution by lookup in tables of the input, as r2b_lut4.h has it, for MVE (Armv8.1-M) with
// vectors of 32 pixels: what differs, and what its parts share.
//
// An entry is one vector register. Its nibble j of lane i is pixel 4 j + i. The nibbles of odd j are stored less 2: a
// byte is 16 (c - 2) + c' with counts of equal bits c and c', 0..4, of two pixels. A pass (r2b_lut4_mve.S) adds up the
// entries of a run, at most 63, and gives 32 bytes in 8 words, centred, -126..126: byte b of word k is pixel 8 b + k.
// It shifts them, adds the runs of an output channel in 16 bits, and gives dot / 2 for each pixel: int16_t
// lanes[16][2], lanes[j][h] is pixel 16 h + j. (Where the channels are an odd number, one product of +1 for each tap
// inside the map is to be taken off, see r2b_lut4.h.)
//
// Two kernels do this: r2b_bconv_lut4_mve any window, a vector at a time; r2b_bconv_lut4_pair_mve three rows at stride
// 1, two vectors at a time.
#ifndef R2B_LUT4_MVE_H
#define R2B_LUT4_MVE_H

#include <arm_mve.h>

#include "r2b_kernels.h"

#define LUT4_SELDOM static __attribute__((cold, noinline))  // for size
#define LUT4_OFTEN static __attribute__((hot, noinline))    // for speed, whoever calls it

enum {
    LUT4_PIXELS = 32,
    LUT4_TABLE_BYTES = 256,   // of a group of 4 channels: 16 entries
    LUT4_LANES = 32,          // of a vector
    LUT4_OCTETS = 4,          // of a vector
    LUT4_BEHIND = 380,        // the pass's pointer stands so far behind its table: four tables are in reach of a load
    LUT4_SIGNS_CHANNELS = 6,  // SIGNS: lanes' room, for the signs of 4 channels and the lanes of 4 more
    LUT4_GUARD = 8,           // words beside the 8 of a run, for shifts of up to so many pixels
};

// Pixels 8 b.. of a vector, b = 0..3: they lie side by side in the map.
typedef struct {
    int32_t y;
    int32_t x;
    int32_t count;  // of them in the map, 0..8
    int32_t pixel;  // the first one's number
} lut4_octet;

// The constants of 4 channels, see r2b_lut4_mve_epilogue.h.
typedef struct {
    float32x4_t up;
    float32x4_t down;
    float32x4_t offset;
    float32x4_t limit;
    int32x4_t bits;
} lut4_four;

typedef struct {
    const r2b_bconv_lut4 *layer;
    int32_t groups;       // of 4 channels
    int32_t taps;         // runs of an output channel: kernel_x * chunks
    int32_t group_bytes;  // from a group's table to the next group's
    // Where the vectors lie that are finished together: the rows of one are row_step apart, the next one is next_x
    // pixels to the right and next_y rows below.
    int32_t vectors;
    int32_t row_step;
    int32_t next_x;
    int32_t next_y;
    // The workspace: what the passes need, then in this order
    uint8_t *tables;
    uint32_t *sums;
    lut4_octet *octets;  // [vectors][4], of the rows at hand
    int16_t *lanes;      // [4, or where the epilogue takes tiles all channels][vectors][LUT4_LANES]; SIGNS: at the end
                         // uint8_t [8 channels][vectors][32] in the order of a pass's sums: the top bits are signs
    uint32_t *words;     // [vectors][32]: 32 channels' signs of each pixel, byte by byte while they are not complete
    lut4_four *constants;  // FLOATS: [channels / 4]
    float *tile;           // TILES: [channels up to a multiple of 4], in their place
} lut4_mve;

// Lays out the end of the workspace; `shared_bytes` of exporters/c/lut4_mve.py does the same sum.
static inline void lut4_lay_out(lut4_mve *s, uint8_t *work) {
    const r2b_lut4_finish finish = s->layer->finish;
    const int32_t channels = finish == R2B_LUT4_TILES   ? (s->layer->window.out_channels + 3) / 4 * 4
                             : finish == R2B_LUT4_SIGNS ? LUT4_SIGNS_CHANNELS
                                                        : 4;
    s->octets = (lut4_octet *)(void *)work;
    work += s->vectors * LUT4_OCTETS * (int32_t)sizeof *s->octets;
    s->lanes = (int16_t *)(void *)work;
    work += channels * s->vectors * LUT4_LANES * 2;
    s->words = (uint32_t *)(void *)work;
    s->tile = (float *)(void *)work;
    s->constants = (lut4_four *)(void *)(work + s->vectors * LUT4_PIXELS * 4);
}

// Bytes of a word of sums that stay in their row if they are moved up by one.
static inline uint32_t lut4_edge(int32_t rows) {
    return rows == 1 ? 0xffffff00u : rows == 2 ? 0xff00ff00u : 0u;
}

static inline int32_t lut4_floor_div(int32_t a, int32_t b) {
    return (a - (a < 0 ? b - 1 : 0)) / b;
}

#endif  // R2B_LUT4_MVE_H
