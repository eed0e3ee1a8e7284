// SPDX-License-Identifier: MIT-0
//
// r2b_bconv_1x1.h: signs of binary convolutions with 1x1 windows on few channels, for cores without a population count,
// by lookup in tables of the *weights*. A family defines these, and includes this once, which makes its entry function:
//     R2B_1X1_KERNEL  the function's name               R2B_1X1_ROW  optional, see r2b_1x1_row
//
// Where an output has few products, tables of the input (r2b_lut4.h) do not pay: turning signs of channels into bits of
// pixels costs more than the products. Here 32 output channels share a table for each 4 input channels, which holds for
// each of the 16 values that 4 bits of a pixel can have the number of bits that differ from each output's weights:
//     uint8_t [group of 4 input channels][16][32 outputs]
// made once for 32 outputs, used for all pixels. A pixel's sums of 32 bytes are lookups of whole entries; 4 bits of the
// input are the address for all of these. With
//     dot = channels - 2 * differing,    -1 where dot is below the threshold  <=>  differing >= m
// and the bytes 128 - m added to the table of the first group, the top bit of a sum is the sign. A sum is at most 128 +
// 64 channels; channels that do not exist have bits of 0 on both sides, outputs that do not exist sums of 0.
//
// Byte b of word j is output 8 b + j, so that the eight words' top bits, shifted by one more each, make the result's
// word.
#ifndef R2B_BCONV_1X1_H
#define R2B_BCONV_1X1_H

#include "r2b_kernels.h"

enum {
    R2B_1X1_GROUP_WORDS = 16 * 8,                  // of a table
    R2B_1X1_HALF_WORDS = 4 * R2B_1X1_GROUP_WORDS,  // of those for 16 channels
};

// Pixels that follow each other at equal distances: signs of 32 outputs.
typedef struct {
    uint32_t *out;
    uint32_t out_step;    // bytes to the next pixel's word
    const uint32_t *end;  // of the word behind the last pixel's
    uint32_t x_step;      // bytes from the end of what is read of a pixel to the next pixel
    const uint32_t *tables;
    const uint32_t *last;  // of these: for the last 16 channels
    const uint16_t *x;     // 16 channels each
} r2b_1x1_row;

#ifdef R2B_1X1_ROW
void R2B_1X1_ROW(const r2b_1x1_row *row);
#else
#define R2B_1X1_ROW r2b_1x1_row_c

static void r2b_1x1_row_c(const r2b_1x1_row *row) {
    const uint8_t *x = (const uint8_t *)row->x;
    for (uint8_t *out = (uint8_t *)row->out; out != (const uint8_t *)row->end; out += row->out_step) {
        uint32_t sums[8] = {0};
        for (const uint32_t *table = row->tables; table <= row->last; x += 2) {
            const uint32_t bits = *(const uint16_t *)(const void *)x;
            for (int32_t g = 0; g < 4; g++, table += R2B_1X1_GROUP_WORDS) {
                const uint32_t *const entry = table + (bits >> 4 * g & 15u) * 8;
                for (int32_t j = 0; j < 8; j++) sums[j] += entry[j];
            }
        }
        uint32_t signs = 0;
        for (int32_t j = 0; j < 8; j++) signs |= (sums[j] & 0x80808080u) >> (7 - j);
        *(uint32_t *)(void *)out = signs;
        x += row->x_step;
    }
}
#endif

// The tables of `groups` groups for 32 outputs: `weights` has a word for each input channel, `starts` 32 bytes in the
// order of an entry. Entry 0 counts the weights' own bits b_k; setting bit k of the index adds 1 - 2 b_k.
static void r2b_1x1_fill(const uint32_t *weights, const uint32_t *starts, int32_t groups, uint32_t *table) {
    for (int32_t g = 0; g < groups; g++, weights += 4, table += R2B_1X1_GROUP_WORDS) {
        for (int32_t j = 0; j < 8; j++) {
            uint32_t entry = g == 0 ? starts[j] : 0u;
            uint32_t change[4];
            for (int32_t k = 0; k < 4; k++) {
                const uint32_t bits = weights[k] >> j & 0x01010101u;
                entry += bits;
                change[k] = 0x01010101u - 2 * bits;
            }
            uint32_t *const to = table + j;
            for (int32_t n = 0; n < 16; n += 4) {
                const uint32_t high = entry + (n & 4 ? change[2] : 0u) + (n & 8 ? change[3] : 0u);
                to[8 * n] = high;
                to[8 * n + 8] = high + change[0];
                to[8 * n + 16] = high + change[1];
                to[8 * n + 24] = high + change[0] + change[1];
            }
        }
    }
}

void R2B_1X1_KERNEL(const r2b_bconv_1x1 *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                    const r2b_parallel *parallel) {
    const r2b_window *const g = &layer->window;
    const int32_t in_words = (g->in_channels + 31) / 32;
    const int32_t out_words = (g->out_channels + 31) / 32;
    const int32_t halves = (g->in_channels + 15) / 16;
    uint32_t *const tables = (uint32_t *)(void *)(arena + layer->work);
    const uint32_t *const input = (const uint32_t *)(const void *)(arena + layer->input);
    uint32_t *const output = (uint32_t *)(void *)(arena + epilogue->ops[epilogue->count - 1].at);
    // Without a stride the rows are one.
    const int is_whole = g->stride_x == 1 && g->stride_y == 1;
    const int32_t rows = is_whole ? 1 : g->out_height;
    const int32_t count = is_whole ? g->out_height * g->out_width : g->out_width;
    (void)parallel;

    for (int32_t block = 0; block < out_words; block++) {
        r2b_1x1_fill(layer->weights + block * halves * 16, layer->starts + block * 8, 4 * halves, tables);
        for (int32_t y = 0; y < rows; y++) {
            uint32_t *const out = output + y * count * out_words + block;
            const r2b_1x1_row row = {
                .out = out,
                .out_step = 4u * (uint32_t)out_words,
                .end = out + count * out_words,
                .x_step = (uint32_t)(4 * g->stride_x * in_words - 2 * halves),
                .tables = tables,
                .last = tables + (halves - 1) * R2B_1X1_HALF_WORDS,
                .x = (const uint16_t *)(const void *)(input + y * g->stride_y * g->in_width * in_words),
            };
            R2B_1X1_ROW(&row);
        }
    }
}

#endif  // R2B_BCONV_1X1_H
