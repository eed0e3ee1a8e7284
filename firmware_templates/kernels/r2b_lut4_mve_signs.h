// SPDX-License-Identifier: MIT-0
//
// r2b_lut4_mve_signs.h: signs of the vectors of r2b_lut4_mve.h, packed and written: a word for 32 channels of a pixel.
//
// A channel's signs are the top bits of 32 bytes, in the order of a pass's sums. VSRI puts those of eight channels into
// a byte for each pixel, VST4 four such bytes into a word for each pixel, and a scattered store takes four words at a
// time to their pixels, 8 apart.
#ifndef R2B_LUT4_MVE_SIGNS_H
#define R2B_LUT4_MVE_SIGNS_H

#include "r2b_lut4_mve.h"

// The vectors' places in the map, for the output rows oy.. .
LUT4_SELDOM void lut4_begin_rows(const lut4_mve *s, int32_t oy) {
    const r2b_window *const g = &s->layer->window;
    const int32_t segment = LUT4_PIXELS / s->layer->rows;
    lut4_octet *o = s->octets;
    for (int32_t v = 0; v < s->vectors; v++) {
        for (int32_t first = 0; first < LUT4_PIXELS; first += 8, o++) {
            o->y = oy + v * s->next_y + first / segment * s->row_step;
            o->x = first % segment + v * s->next_x;
            const int32_t left = o->y < g->out_height ? g->out_width - o->x : 0;
            o->count = left < 0 ? 0 : left < 8 ? left : 8;
            o->pixel = o->y * g->out_width + o->x;
        }
    }
}

// Writes words [8][4] of a vector: word k, b is that of pixel k of octet b.
static inline void lut4_write_words(const lut4_octet *o, const uint32_t *words, uint32_t *bits, int32_t pixel_words) {
    const int32x4_t counts = {o[0].count, o[1].count, o[2].count, o[3].count};
    const uint32x4_t pixels = {(uint32_t)o[0].pixel, (uint32_t)o[1].pixel, (uint32_t)o[2].pixel, (uint32_t)o[3].pixel};
    const uint32x4_t offsets = vmulq_n_u32(pixels, 4 * (uint32_t)pixel_words);
    for (int32_t k = 0; k < 8; k++, words += 4, bits += pixel_words) {
        const mve_pred16_t inside = vcmpgtq_n_s32(counts, k);
        vstrwq_scatter_offset_p_u32(bits, offsets, vld1q_u32(words), inside);
    }
}

// Writes words [16][2] of a vector: word j, h is that of pixel 16 h + j.
static inline void lut4_write_pairs(const lut4_octet *o, const uint32_t *words, uint32_t *bits, int32_t pixel_words) {
    for (const lut4_octet *const end = o + 2; o < end; o++) {
        const int32x4_t counts = {o[0].count, o[2].count, o[0].count - 1, o[2].count - 1};
        const uint32x4_t pixels = {(uint32_t)o[0].pixel, (uint32_t)o[2].pixel, (uint32_t)o[0].pixel + 1,
                                   (uint32_t)o[2].pixel + 1};
        const uint32x4_t offsets = vmulq_n_u32(pixels, 4 * (uint32_t)pixel_words);
        uint32_t *to = bits;
        for (int32_t k = 0; k < 8; k += 2, words += 4, to += 2 * pixel_words) {
            const mve_pred16_t inside = vcmpgtq_n_s32(counts, k);
            vstrwq_scatter_offset_p_u32(to, offsets, vld1q_u32(words), inside);
        }
    }
}

// From the bytes of up to 32 channels, of which c is the last one, to the map.
LUT4_OFTEN void lut4_write_octets(const lut4_mve *s, const uint32_t *flip, uint32_t *bits, int32_t c) {
    const int32_t pixel_words = (s->layer->window.out_channels + 31) / 32;
    const uint32x4_t turned = vdupq_n_u32(flip ? flip[c / 32] : 0);
    for (int32_t v = 0; v < s->vectors; v++) {
        const uint8_t *const octets = (const uint8_t *)(s->words + v * LUT4_PIXELS);
        uint32_t words[LUT4_PIXELS];
        for (int32_t half = 0; half < 2; half++) {
            const uint8_t *const from = octets + 16 * half;
            const uint8x16_t none = vdupq_n_u8(0);
            uint8x16x4_t bytes;
            bytes.val[0] = vld1q_u8(from);
            bytes.val[1] = c % 32 >= 8 ? vld1q_u8(from + 32) : none;
            bytes.val[2] = c % 32 >= 16 ? vld1q_u8(from + 64) : none;
            bytes.val[3] = c % 32 >= 24 ? vld1q_u8(from + 96) : none;
            vst4q_u8((uint8_t *)(words + 16 * half), bytes);
        }
        for (int32_t i = 0; i < LUT4_PIXELS; i += 4) vst1q_u32(words + i, veorq_u32(vld1q_u32(words + i), turned));
        lut4_write_words(s->octets + v * LUT4_OCTETS, words, bits + c / 32, pixel_words);
    }
}

// From the signs of channels c.. , `count` of up to 8, in s->lanes to the map. `flip`: null, or those to invert.
LUT4_OFTEN void lut4_pack_octet(const lut4_mve *s, const uint32_t *flip, uint32_t *bits, int32_t c, int32_t count) {
    const int32_t step = s->vectors * LUT4_PIXELS;
    uint8_t *const signs = (uint8_t *)s->lanes;
    uint8_t *const octets = (uint8_t *)s->words + c / 8 % 4 * 32;
    for (int32_t i = count * step; i < 8 * step; i += 16) vst1q_u8(signs + i, vdupq_n_u8(0));
    for (int32_t i = 0; i < step; i += 16) {
        const uint8_t *const from = signs + i;
        uint8x16_t byte = vld1q_u8(from + 7 * step);
        byte = vsriq_n_u8(byte, vld1q_u8(from + 6 * step), 1);
        byte = vsriq_n_u8(byte, vld1q_u8(from + 5 * step), 2);
        byte = vsriq_n_u8(byte, vld1q_u8(from + 4 * step), 3);
        byte = vsriq_n_u8(byte, vld1q_u8(from + 3 * step), 4);
        byte = vsriq_n_u8(byte, vld1q_u8(from + 2 * step), 5);
        byte = vsriq_n_u8(byte, vld1q_u8(from + step), 6);
        byte = vsriq_n_u8(byte, vld1q_u8(from), 7);
        vst1q_u8(octets + i / 32 * 128 + i % 32, byte);
    }
    const int32_t last = c + count - 1;
    if (last % 32 == 31 || last + 1 == s->layer->window.out_channels) lut4_write_octets(s, flip, bits, last);
}

// The signs of a channel's lanes, int16_t [vectors][LUT4_LANES]: the top bytes of lanes + start.
static inline void lut4_take_signs(const lut4_mve *s, const int16_t *lanes, uint32_t start, uint8_t *signs) {
    const int16_t from = (int16_t)(uint16_t)start;
    for (int32_t v = 0; v < s->vectors; v++, lanes += LUT4_LANES, signs += LUT4_PIXELS) {
        int16x8_t low[2], high[2];  // even and odd bytes of words 0-3, 4-7
        for (int32_t i = 0; i < 2; i++) {
            low[i] = vaddq_n_s16(vld1q_s16(lanes + 8 * i), from);
            high[i] = vaddq_n_s16(vld1q_s16(lanes + 16 + 8 * i), from);
            vst1q_s8((int8_t *)signs + 16 * i, vshrnbq_n_s16(vreinterpretq_s8_s16(high[i]), low[i], 8));
        }
    }
}

#endif  // R2B_LUT4_MVE_SIGNS_H
