// SPDX-License-Identifier: MIT-0
//
// r2b_lut4_epilogue.h: from the merge's lanes to what the epilogue writes, in one of three ways.
//
// SIGNS: the merge starts from a threshold, so that a lane's top bit is the sign. No float is made.
// FLOATS: lanes of one channel become floats, eight pixels at a time, and the operations run on these in the order of
//     r2b_epilogue_tile, with its rounding.
// TILES: the lanes of all channels wait for the end of the row; then a pixel after the other is a tile.
//
// Signs of eight pixels are a byte for each channel; eight channels are transposed to a byte for each pixel. A family
// may do this for whole octets of pixels that follow each other in the map: #define LUT4_SPREAD(octets, flip, to,
// pixel_bytes, count).
#ifndef R2B_LUT4_EPILOGUE_H
#define R2B_LUT4_EPILOGUE_H

#include "r2b_lut4.h"

enum { LUT4_OCTETS = LUT4_PIXELS / 8 };

// What the lanes take of the workspace: all channels', or one channel's.
static inline int32_t lut4_lanes_bytes(const r2b_bconv_lut4 *layer) {
    const int32_t channels = layer->finish == R2B_LUT4_TILES ? layer->window.out_channels : 1;
    return channels * layer->vectors * 2 * LUT4_PIXELS;
}

static inline int32_t lut4_run_pixels(const r2b_bconv_lut4 *layer) {
    const int32_t segment = LUT4_PIXELS / layer->rows;
    return segment < 8 ? segment : 8;
}

// Lists the runs of the output rows oy.. .
LUT4_SELDOM void lut4_begin_rows(lut4_state *s, int32_t oy) {
    const r2b_window *const g = &s->layer->window;
    const int32_t rows = s->layer->rows;
    const int32_t segment = LUT4_PIXELS / rows;
    const int32_t pixels = lut4_run_pixels(s->layer);
    s->run_count = 0;
    s->whole_octets = 0;
    for (int32_t first = 0; first < s->layer->vectors * LUT4_PIXELS; first += pixels) {
        const int32_t lane = first % LUT4_PIXELS;
        lut4_run r = {.octet = first / 8, .bit = lane % 8, .y = oy, .x = first};
        if (rows > 1) {
            r.y += lane / segment;
            r.x = lane % segment;
        }
        r.lane = first / LUT4_PIXELS * LUT4_PIXELS + lane % (LUT4_PIXELS / 2) * 2 + lane / (LUT4_PIXELS / 2);
        r.count = g->out_width - r.x < pixels ? g->out_width - r.x : pixels;
        if (r.count <= 0 || r.y >= g->out_height) continue;
        const int is_next = r.octet == s->run_count && (r.y - oy) * g->out_width + r.x == 8 * s->run_count;
        if (is_next && r.count == 8 && s->whole_octets == s->run_count) s->whole_octets++;
        s->runs[s->run_count++] = r;
    }
    s->whole_vectors = rows == 1 ? g->out_width / LUT4_PIXELS : g->out_width == segment && oy + rows <= g->out_height;
    s->unit_runs = s->unit.parts ? s->whole_vectors * (LUT4_PIXELS / pixels) : 0;
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

static inline float lut4_dot(const lut4_state *s, const lut4_run *r, const int16_t *lanes, int32_t i) {
    const int32_t excess = s->layer->window.in_channels % 2 ? lut4_excess(s->layer, r->y, r->x + i) : 0;
    return LUT4_FLOAT(2 * lanes[2 * i] - excess);
}

// ---- signs ---------------------------------------------------------------------------------------------------------

// Bit j of byte c to bit c of byte j.
static inline void lut4_transpose_bits(uint32_t w[2]) {
    for (int32_t i = 0; i < 2; i++) {
        uint32_t both = (w[i] ^ w[i] >> 7) & 0x00aa00aau;
        w[i] ^= both ^ both << 7;
        both = (w[i] ^ w[i] >> 14) & 0x0000ccccu;
        w[i] ^= both ^ both << 14;
    }
    const uint32_t both = (w[0] >> 4 ^ w[1]) & 0x0f0f0f0fu;
    w[1] ^= both;
    w[0] ^= both << 4;
}

// Writes the signs of channels c - c % 8..c from the workspace.
LUT4_OFTEN void lut4_write_signs(const lut4_state *s, uint8_t *arena, int32_t c) {
    const r2b_window *const g = &s->layer->window;
    const int is_last = c + 1 == g->out_channels;
    const int32_t pixel_bytes = (g->out_channels + 31) / 32 * 4;
    const int32_t zeros = is_last ? pixel_bytes - c / 8 - 1 : 0;
    const uint32_t flip = s->bits->flip ? (s->bits->flip[c / 32] >> (c / 8 % 4 * 8) & 0xffu) * 0x01010101u : 0u;
    uint8_t *const map = arena + s->bits->at + c / 8;
    int32_t i = 0;
#ifdef LUT4_SPREAD
    if (s->whole_octets > 0 && c % 8 == 7 && zeros == 0) {
        i = s->whole_octets;
        LUT4_SPREAD(s->signs, flip, map + s->runs->y * g->out_width * pixel_bytes, pixel_bytes, i);
    }
#endif
    for (; i < s->run_count; i++) {
        const lut4_run *const r = &s->runs[i];
        uint8_t *const octet = s->signs + 8 * r->octet;
        uint32_t *const words = (uint32_t *)(void *)octet;
        uint8_t *to = map + (r->y * g->out_width + r->x) * pixel_bytes;
        if (r->bit == 0) {
            for (int32_t k = c % 8 + 1; k < 8; k++) octet[k] = 0;
            lut4_transpose_bits(words);
            words[0] ^= flip;
            words[1] ^= flip;
        }
        for (int32_t k = 0; k < r->count; k++, to += pixel_bytes) {
            *to = octet[r->bit + k];
            for (int32_t z = 0; z < zeros; z++) to[z + 1] = 0;
        }
    }
}

// The signs of the lanes of a vector, uint8_t [octet][8] at `signs`.
static inline void lut4_collect(const uint32_t *lanes, uint8_t *signs) {
    // The sign of the last word comes to the top of both halves, the others to the bits below it.
    uint32_t found = 0;
    for (int32_t j = 0; j < LUT4_PIXELS / 2; j++) found = found >> 1 | (lanes[j] & 0x80008000u);
    for (int32_t o = 0; o < LUT4_OCTETS; o++) {
        const int32_t half = o / (LUT4_OCTETS / 2);
        const int32_t below = LUT4_OCTETS / 2 - 1 - o % (LUT4_OCTETS / 2);  // octets of the half above this one
        signs[8 * o] = (uint8_t)(found >> (16 * half + 8 - 8 * below));
    }
}

static inline void lut4_collect_signs(const lut4_state *s, int32_t c, const uint32_t *lanes) {
    uint8_t *signs = s->signs + c % 8;
    for (int32_t v = s->layer->vectors;;) {
        lut4_collect(lanes, signs);
        if (--v == 0) break;
        lanes += LUT4_PIXELS / 2;
        signs += LUT4_PIXELS;
    }
}

// ---- floats --------------------------------------------------------------------------------------------------------

// Channel c of a run's pixels through the epilogue. t: their dot products.
static void lut4_run_epilogue(const lut4_state *s, const r2b_epilogue *epilogue, uint8_t *arena, const lut4_run *r,
                              int32_t c, float t[8]) {
    const r2b_window *const g = &s->layer->window;
    const int32_t n = r->count;
    const int32_t channels = g->out_channels;
    for (const r2b_tile_op *op = epilogue->ops; op < epilogue->ops + epilogue->count; op++) {
        float *const vector = (float *)(void *)(arena + op->at);
        float *map = vector + (r->y * g->out_width + r->x) * channels + c;
        switch (op->kind) {
            case R2B_TILE_AFFINE: {
                const float a = op->a[c];
                const float b = op->b[c];
                for (int32_t i = 0; i < n; i++) t[i] = a * t[i] + b;
                break;
            }
            case R2B_TILE_PRELU: {
                const float a = op->a[c];
                for (int32_t i = 0; i < n; i++) t[i] = t[i] >= 0 ? t[i] : a * t[i];
                break;
            }
            case R2B_TILE_CLIP: {
                const float low = op->low;
                const float high = op->high;
                for (int32_t i = 0; i < n; i++) {
                    const float raised = t[i] < low ? low : t[i];
                    t[i] = raised > high ? high : raised;
                }
                break;
            }
            case R2B_TILE_ADD_MAP:
                for (int32_t i = 0; i < n; i++, map += channels) t[i] += *map;
                break;
            case R2B_TILE_MUL_MAP:
                for (int32_t i = 0; i < n; i++, map += channels) t[i] *= *map;
                break;
            case R2B_TILE_ADD_VECTOR: {
                const float a = vector[c];
                for (int32_t i = 0; i < n; i++) t[i] += a;
                break;
            }
            case R2B_TILE_MUL_VECTOR: {
                const float a = vector[c];
                for (int32_t i = 0; i < n; i++) t[i] *= a;
                break;
            }
            case R2B_TILE_STORE:
                for (int32_t i = 0; i < n; i++, map += channels) *map = t[i];
                break;
            case R2B_TILE_BITS: {
                const float limit = op->a[c];
                uint32_t signs = 0;
                for (int32_t i = 0; i < n; i++) signs |= (uint32_t)(t[i] < limit) << (r->bit + i);
                uint8_t *const octet = s->signs + 8 * r->octet + c % 8;
                *octet = (uint8_t)(signs | (r->bit == 0 ? 0u : *octet));
                break;
            }
            case R2B_TILE_MEAN: {  // as r2b_epilogue_row does it
                float *const row = (float *)(void *)(arena + op->work) + c;
                float sum = *row;
                for (int32_t i = 0; i < n; i++) sum += t[i];
                *row = sum;
                if (r->x + n == g->out_width) {
                    vector[c] += sum;
                    *row = 0;
                }
                break;
            }
            default:
                break;
        }
    }
}

// ---- the sequences of binary networks, by LUT4_UNIT
// ------------------------------------------------------------------
//
// [AFFINE] [MUL_VECTOR] [PRELU] [ADD_MAP], then at most one each of STORE, MEAN and BITS. The factors go into one, 2
// for the lanes being half a dot product included. Without an offset PRELU chooses by the sign of v: up = s and down =
// slope * s, the other way round if s < 0. A family with a float unit has #define LUT4_UNIT(unit, lanes, constants),
// for a whole vector.

#ifdef LUT4_UNIT

// Finds the parts of an epilogue, its operands and the channels' constants; no parts if it is no such sequence.
LUT4_SELDOM void lut4_match(lut4_state *s, const r2b_epilogue *epilogue, uint8_t *arena) {
    const r2b_tile_op *const end = epilogue->ops + epilogue->count;
    const r2b_tile_op *op = epilogue->ops;
    const r2b_tile_op *affine = NULL, *gate = NULL, *prelu = NULL, *signs = NULL;
    uint32_t parts = 0;
    if (s->layer->window.in_channels % 2) return;
    if (op < end && op->kind == R2B_TILE_AFFINE) affine = op++;
    if (op < end && op->kind == R2B_TILE_MUL_VECTOR) gate = op++;
    if (op < end && op->kind == R2B_TILE_PRELU) prelu = op++;
    for (int32_t c = 0; affine && c < epilogue->channels; c++) parts |= affine->b[c] != 0 ? LUT4_OFFSET : 0u;
    if (prelu) parts |= parts & LUT4_OFFSET ? LUT4_BEND : LUT4_SELECT;
    if (parts == 0) parts = op > epilogue->ops ? LUT4_SCALE : LUT4_DOUBLE;
    if (op < end && op->kind == R2B_TILE_ADD_MAP) {
        parts |= LUT4_SKIP;
        s->unit.skip = (const float *)(const void *)(arena + op++->at);
    }
    for (; op < end; op++) {
        float *const at = (float *)(void *)(arena + op->at);
        uint32_t part = 0;
        if (op->kind == R2B_TILE_STORE) {
            part = LUT4_STORE;
            s->unit.store = at;
        } else if (op->kind == R2B_TILE_MEAN) {
            part = LUT4_MEAN;
            s->means = at;
        } else if (op->kind == R2B_TILE_BITS) {
            part = LUT4_SIGN;
            signs = op;
        }
        if (part == 0 || (parts & part)) return;
        parts |= part;
    }
    if ((parts | LUT4_MEAN) == (LUT4_SELECT | LUT4_SKIP | LUT4_STORE | LUT4_MEAN | LUT4_SIGN) &&
        s->unit.skip == s->unit.store) {
        parts |= LUT4_IN_PLACE;
    }
    s->unit.parts = parts;
    s->unit.stride = 4u * (uint32_t)epilogue->channels;
    for (int32_t c = 0; c < epilogue->channels; c++) {
        const float g = gate ? ((const float *)(const void *)(arena + gate->at))[c] : 1.0f;
        const float scale = (affine ? 2.0f * affine->a[c] : 2.0f) * g;
        const float slope = prelu ? prelu->a[c] : 1.0f;
        const int is_turned = (parts & LUT4_SELECT) && scale < 0;
        lut4_constants *const k = &s->constants[c];
        k->up = is_turned ? slope * scale : scale;
        k->down = is_turned ? scale : slope * scale;
        k->offset = affine ? affine->b[c] * g : 0.0f;
        k->bend = slope;
        k->limit = signs ? signs->a[c] : 0.0f;
    }
}

// Before channel 0 of the rows oy.. .
static inline void lut4_begin_unit(lut4_state *s, int32_t oy) {
    s->unit.first = (uint32_t)(oy * s->layer->window.out_width) * s->unit.stride;
    s->unit.mean = s->means;
}

// Channel c of the whole vectors of the rows at hand, which follows channel c - 1.
static inline void lut4_finish_unit(lut4_state *s, int32_t c, const uint32_t *lanes) {
    lut4_unit *const unit = &s->unit;
    const uint32_t first = unit->first;
    unit->signs = s->signs + c % 8;
    for (int32_t v = s->whole_vectors;;) {
        LUT4_UNIT(unit, lanes, &s->constants[c]);
        if (--v == 0) break;
        lanes += LUT4_PIXELS / 2;
        unit->first += LUT4_PIXELS * unit->stride;
        unit->signs += LUT4_PIXELS;
    }
    unit->first = first + 4u;
    unit->mean++;
}

#endif

// ---- the three ways ------------------------------------------------------------------------------------------------

LUT4_SELDOM void lut4_begin_epilogue(lut4_state *s, const r2b_epilogue *epilogue, uint8_t *arena) {
    if (s->layer->finish == R2B_LUT4_TILES) return;
    for (int32_t k = 0; k < epilogue->count; k++) {
        if (epilogue->ops[k].kind == R2B_TILE_BITS) s->bits = &epilogue->ops[k];
    }
#ifdef LUT4_UNIT
    lut4_match(s, epilogue, arena);
#else
    (void)arena;
#endif
}

LUT4_APART void lut4_finish_runs(const lut4_state *s, const r2b_epilogue *epilogue, uint8_t *arena, int32_t c,
                                 const uint32_t *lanes) {
    for (const lut4_run *r = s->runs + s->unit_runs; r < s->runs + s->run_count; r++) {
        const int16_t *const its = (const int16_t *)(const void *)lanes + r->lane;
        float t[8];
        for (int32_t k = 0; k < r->count; k++) t[k] = lut4_dot(s, r, its, k);
        lut4_run_epilogue(s, epilogue, arena, r, c, t);
    }
}

// After the merge of channel c.
static inline void lut4_finish_floats(lut4_state *s, const r2b_epilogue *epilogue, uint8_t *arena, int32_t c,
                                      const uint32_t *lanes) {
#ifdef LUT4_UNIT
    if (s->unit_runs > 0) lut4_finish_unit(s, c, lanes);
#endif
    if (s->unit_runs < s->run_count) lut4_finish_runs(s, epilogue, arena, c, lanes);
}

// After the last channel.
LUT4_SELDOM void lut4_finish_rows(const lut4_state *s, const r2b_epilogue *epilogue, uint8_t *arena) {
    const r2b_window *const g = &s->layer->window;
    if (s->layer->finish != R2B_LUT4_TILES) return;
    for (const lut4_run *r = s->runs; r < s->runs + s->run_count; r++) {
        for (int32_t k = 0; k < r->count; k++) {
            const int32_t excess = lut4_excess(s->layer, r->y, r->x + k);
            const int16_t *lane = (const int16_t *)(const void *)s->lanes + r->lane + 2 * k;
            for (int32_t c = 0; c < g->out_channels; c++, lane += s->layer->vectors * LUT4_PIXELS) {
                s->tile[c] = LUT4_FLOAT(2 * *lane - excess);
            }
            r2b_epilogue_tile(epilogue, arena, r->y * g->out_width + r->x + k, s->tile);
        }
        if (r->x + r->count == g->out_width) r2b_epilogue_row(epilogue, arena);
    }
}

#endif  // R2B_LUT4_EPILOGUE_H
