// SPDX-License-Identifier: MIT-0
//
// Holds r2b_lut4_scale_v6m against the compiler's float products: all small lanes, with factors of every kind of
// mantissa. Prints the number of products, or the first that differs.
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { LOWEST = -65, HIGHEST = 63, FACTORS = 600, LANES = 16 };

void r2b_lut4_scale_v6m(const uint32_t *lanes, const uint32_t *factors, const uint16_t *floats, float *t);

static uint32_t bits_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

int main(void) {
    uint16_t floats[HIGHEST - LOWEST + 1];
    uint32_t state = 1;
    uint32_t products = 0;
    for (int v = LOWEST; v <= HIGHEST; v++) floats[v - LOWEST] = (uint16_t)(bits_of((float)v) >> 16);
    for (int f = 0; f < FACTORS; f++) {
        // Mantissas at random, few bits, all ones but few, or the greatest whose product with a small number has 31
        // bits: it rounds up to 2^31 now and then; exponents 17..239.
        uint32_t factors[4];
        float as_floats[2];
        for (int i = 0; i < 2; i++) {
            state = state * 1664525u + 1013904223u;
            uint32_t mantissa = state >> 9;
            uint32_t small = 1 + state % 65;
            while (small < 128) small *= 2;
            if (f % 4 == 1) mantissa &= 0x700003u | 1u << f % 23;
            if (f % 4 == 2) mantissa |= 0x7fff00u;
            if (f % 4 == 3) mantissa = 0x7fffffffu / small & 0x7fffffu;
            state = state * 1664525u + 1013904223u;
            const uint32_t bits = (17 + (state >> 8) % 223) << 23 | (state & 0x80000000u) | mantissa;
            memcpy(&as_floats[i], &bits, sizeof bits);
            factors[2 * i] = mantissa | 0x800000u;
            factors[2 * i + 1] = (bits & 0xff800000u) - (127u << 23);
        }
        for (int first = LOWEST; first <= HIGHEST; first += LANES) {
            uint32_t lanes[LANES / 2] = {0};
            float t[LANES];
            int value[LANES];
            for (int k = 0; k < LANES; k++) {
                value[k] = first + k <= HIGHEST ? first + k : 0;
                lanes[k % 8] |= ((uint32_t)value[k] & 0xffffu) << k / 8 * 16;
            }
            r2b_lut4_scale_v6m(lanes, factors, floats - LOWEST, t);
            for (int k = 0; k < LANES; k++, products++) {
                const float want = value[k] == 0 ? 0.0f : as_floats[value[k] < 0] * (float)value[k];
                if (bits_of(t[k]) == bits_of(want)) continue;
                (void)printf("%08lx * %d: %08lx\n", (unsigned long)bits_of(as_floats[value[k] < 0]), value[k],
                             (unsigned long)bits_of(t[k]));
                return 1;
            }
        }
    }
    (void)printf("%lu\n", (unsigned long)products);
    return 0;
}
