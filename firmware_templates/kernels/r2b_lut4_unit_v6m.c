// SPDX-License-Identifier: MIT-0
//
// r2b_lut4_unit_v6m.c: LUT4_UNIT of r2b_lut4_epilogue.h for cores without a float unit: 16 pixels of one channel.
//
// Sums of a convolution are small most of the time: those of -128..127 become floats by a table. A comparison is one
// of integers: t < limit exactly where order(t) < order(limit), for numbers; -0.0 is taken as 0.0 first.
#define LUT4_PIXELS 16
#define LUT4_UNIT r2b_lut4_unit_v6m
#define LUT4_FLOAT r2b_lut4_float_v6m

#include "r2b_lut4.h"

void r2b_lut4_scale_v6m(const uint32_t *lanes, const uint32_t *factors, const uint16_t *floats, float *t);

enum { SMALL = 144 };  // the table's numbers are -144..143

// The upper half of float32 k, whose lower half is 0; k < 256.
#define AT_LEAST(k, n) ((k) >= (n) ? 1 : 0)
#define LOG2(k)                                                                                               \
    (AT_LEAST(k, 2) + AT_LEAST(k, 4) + AT_LEAST(k, 8) + AT_LEAST(k, 16) + AT_LEAST(k, 32) + AT_LEAST(k, 64) + \
     AT_LEAST(k, 128))
#define UPPER(k) ((k) == 0 ? 0 : ((127 + LOG2(k)) << 7) | (((k) << 7 >> LOG2(k)) & 0x7f))
#define PLUS(k) UPPER(k)
#define MINUS(k) (0x8000 | UPPER(SMALL - (k)))
#define LIST8(one, k) one(k), one(k + 1), one(k + 2), one(k + 3), one(k + 4), one(k + 5), one(k + 6), one(k + 7)
#define LIST48(one, k) \
    LIST8(one, k), LIST8(one, k + 8), LIST8(one, k + 16), LIST8(one, k + 24), LIST8(one, k + 32), LIST8(one, k + 40)
static const uint16_t small[2 * SMALL] = {LIST48(MINUS, 0), LIST48(MINUS, 48), LIST48(MINUS, 96),
                                          LIST48(PLUS, 0),  LIST48(PLUS, 48),  LIST48(PLUS, 96)};

static inline float float_of(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint32_t bits_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

float r2b_lut4_float_v6m(int32_t v) {
    const uint32_t index = (uint32_t)v + SMALL;
    return index < 2 * SMALL ? float_of((uint32_t)small[index] << 16) : (float)v;
}

static inline int32_t order_of(float value) {
    const uint32_t bits = bits_of(value);
    if (bits << 1 == 0) return 0;
    return (int32_t)(bits & 0x80000000u ? bits ^ 0x7fffffffu : bits);
}

static inline float *pixel_at(const float *first, uint32_t bytes) {
    return (float *)(uintptr_t)((const uint8_t *)first + bytes);
}

// Every lane v is in -64..63, or -65 by the carry of the one below: 2 v is in the table.
static int are_small(const uint32_t *lanes) {
    uint32_t large = 0;
    for (int32_t i = 0; i < LUT4_PIXELS / 2; i++) large |= lanes[i] + 0x00400040u;
    return (large & 0xff80ff80u) == 0;
}

// Twice the lanes, which are all small, stored.
static void store_small(float *store, uint32_t stride, const uint32_t *lanes) {
    const uint16_t *const middle = small + SMALL;
    float *high = pixel_at(store, LUT4_PIXELS / 2 * stride);
    for (int32_t i = 0; i < LUT4_PIXELS / 2; i++) {
        const int32_t both = (int32_t)lanes[i];
        *store = float_of((uint32_t)middle[2 * (int16_t)both] << 16);
        *high = float_of((uint32_t)middle[2 * (both >> 16)] << 16);
        store = pixel_at(store, stride);
        high = pixel_at(high, stride);
    }
}

// Exponents that keep those of all products with small numbers in range.
static int is_moderate(float factor) {
    const uint32_t exponent = bits_of(factor) >> 23 & 0xffu;
    return exponent > 16 && exponent < 240;
}

// t = factor * v, the factor by the sign of v, where both are moderate and all lanes are small.
static void scale_small(const uint32_t *lanes, float up, float down, float *t) {
    const float factors[2] = {up, down};
    uint32_t split[4];
    for (int32_t i = 0; i < 2; i++) {
        const uint32_t bits = bits_of(factors[i]);
        split[2 * i] = (bits & 0x007fffffu) | 0x00800000u;
        split[2 * i + 1] = (bits & 0xff800000u) - (127u << 23);
    }
    r2b_lut4_scale_v6m(lanes, split, small + SMALL, t);
}

LUT4_SELDOM void scale(const uint32_t *lanes, float up, float down, float *t) {
    for (int32_t i = 0; i < LUT4_PIXELS / 2; i++) {
        const int32_t both = (int32_t)lanes[i];
        const int32_t low = (int16_t)both;
        t[i] = (low < 0 ? down : up) * (float)low;
        t[i + LUT4_PIXELS / 2] = (both < 0 ? down : up) * (float)(both >> 16);
    }
}

static void run_parts(const lut4_unit *unit, const uint32_t *lanes, const lut4_constants *constants, int is_small) {
    const uint32_t parts = unit->parts;
    const uint32_t stride = unit->stride;
    float t[LUT4_PIXELS];
    const float up = parts & LUT4_DOUBLE ? 2.0f : constants->up;
    const float down = parts & LUT4_SELECT ? constants->down : up;
    if (is_small && is_moderate(up) && is_moderate(down)) {
        scale_small(lanes, up, down, t);
    } else {
        scale(lanes, up, down, t);
    }
    for (int32_t i = 0; i < LUT4_PIXELS && parts & LUT4_OFFSET; i++) {
        t[i] += constants->offset;
        if (parts & LUT4_BEND && order_of(t[i]) < 0) t[i] *= constants->bend;
    }
    if (parts & LUT4_SKIP) {
        uint32_t at = unit->first;
        for (int32_t i = 0; i < LUT4_PIXELS; i++, at += stride) t[i] += *pixel_at(unit->skip, at);
    }
    if (parts & LUT4_STORE) {
        uint32_t at = unit->first;
        for (int32_t i = 0; i < LUT4_PIXELS; i++, at += stride) *pixel_at(unit->store, at) = t[i];
    }
    if (parts & LUT4_MEAN) {
        float sum = t[0];
        for (int32_t i = 1; i < LUT4_PIXELS; i++) sum += t[i];
        *unit->mean += sum;
    }
    if (parts & LUT4_SIGN) {
        const int32_t limit = order_of(constants->limit);
        uint32_t signs = 0;
        for (int32_t i = 0; i < LUT4_PIXELS; i++) signs |= (uint32_t)(order_of(t[i]) < limit) << i;
        for (int32_t o = 0; o < LUT4_PIXELS / 8; o++) unit->signs[8 * o] = (uint8_t)(signs >> 8 * o);
    }
}

void r2b_lut4_unit_v6m(const lut4_unit *unit, const uint32_t *lanes, const lut4_constants *constants) {
    const int is_small = are_small(lanes);
    if (is_small && unit->parts == (LUT4_DOUBLE | LUT4_STORE)) {
        store_small(pixel_at(unit->store, unit->first), unit->stride, lanes);
    } else {
        run_parts(unit, lanes, constants, is_small);
    }
}
