// SPDX-License-Identifier: MIT-0
//
// r2b_math.h: elementary functions in float32, for the kernels' own files: no libm, no tables, no state. Each states
// its error, which tests/c measures against float64.
#ifndef R2B_MATH_H
#define R2B_MATH_H

#include <math.h>
#include <stdint.h>
#include <string.h>

static inline float r2b_power_of_two(int32_t n) {  // 2^n for -127 < n < 128; 0 for n = -127
    const uint32_t bits = (uint32_t)(n + 127) << 23;
    float power;
    memcpy(&power, &bits, sizeof power);
    return power;
}

// n and exp(r) - 1 for x = n ln 2 + r with |r| <= ln 2 / 2, |x| <= 104: then exp(x) = 2^n exp(r).
// n ln 2 is taken off in two parts (the first has 15 trailing zero bits, hence n * LN2_HIGH is exact); exp(r) is
// its Taylor polynomial of degree 7, whose remainder is below 0.4^8 / 8! < 2^-25 of exp(r).
static inline float r2b_exp_reduced(float x, float *n) {
    const float LOG2_E = 1.44269504f;
    const float LN2_HIGH = 0.693359375f;
    const float LN2_LOW = -2.12194440e-4f;
    const float ROUND = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
    *n = (x * LOG2_E + ROUND) - ROUND;
    const float r = (x - *n * LN2_HIGH) - *n * LN2_LOW;
    float p = 1.0f / 5040.0f;
    p = p * r + 1.0f / 720.0f;
    p = p * r + 1.0f / 120.0f;
    p = p * r + 1.0f / 24.0f;
    p = p * r + 1.0f / 6.0f;
    p = p * r + 0.5f;
    return p * r * r + r;
}

// The nearest whole number, halves to the even one; exact. Adding 2^23 leaves no fraction, and larger x have none.
static inline float r2b_round(float x) {
    const float BIG = 8388608.0f;
    if (x >= 0) return x < BIG ? (x + BIG) - BIG : x;
    return x > -BIG ? (x - BIG) + BIG : x;
}

// The largest whole number that is not above x; exact.
static inline float r2b_floor(float x) {
    const float whole = r2b_round(x);
    return whole > x ? whole - 1.0f : whole;
}

// exp(x) for |x| <= 88, error at most 1 ulp.
static inline float exp_small(float x) {
    float n;
    const float p = r2b_exp_reduced(x, &n);
    const float power = r2b_power_of_two((int32_t)n);  // -127 <= n <= 127
    return power * p + power;
}

// exp(x) for every x; error at most 1 ulp, and of the least normal float where the result is smaller than it.
static inline float r2b_exp(float x) {
    if (x != x) return x;
    if (x > 89.0f) return INFINITY;
    if (x < -104.0f) return 0.0f;
    float n;
    const float p = r2b_exp_reduced(x, &n);
    const int32_t half = (int32_t)n / 2;
    return (r2b_power_of_two(half) * p + r2b_power_of_two(half)) * r2b_power_of_two((int32_t)n - half);
}

// exp(x) - 1 for x <= 88, error at most 2 ulp.
static inline float r2b_exp_minus_one(float x) {
    if (!(x > -30.0f)) return x != x ? x : -1.0f;
    float n;
    const float p = r2b_exp_reduced(x, &n);
    const float power = r2b_power_of_two((int32_t)n);
    return power * p + (power - 1.0f);
}

// 1 + erf(x), error at most 1e-6: Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26.
static inline float r2b_one_plus_erf(float x) {
    const float y = x < 0 ? -x : x;
    if (!(y < 9.0f)) return x != x ? x : (x < 0 ? 0.0f : 2.0f);
    const float t = 1.0f / (1.0f + 0.3275911f * y);
    float p = 1.061405429f;
    p = p * t - 1.453152027f;
    p = p * t + 1.421413741f;
    p = p * t - 0.284496736f;
    p = p * t + 0.254829592f;
    const float q = p * t * exp_small(-y * y);
    return x < 0 ? q : 2.0f - q;
}

// tanh(x) = e / (e + 2) with e = exp(2x) - 1 for x >= 0, and odd; error at most 4 ulp.
static inline float r2b_tanh(float x) {
    const float y = x < 0 ? -x : x;
    if (!(y < 10.0f)) return x != x ? x : (x < 0 ? -1.0f : 1.0f);
    float n;
    const float p = r2b_exp_reduced(2.0f * y, &n);
    const float power = r2b_power_of_two((int32_t)n);
    const float e = power * p + (power - 1.0f);
    const float value = e / (e + 2.0f);
    return x < 0 ? -value : value;
}

// The natural logarithm; error at most 2 ulp for normal x, subnormal ones count as 0. x = 2^n m with m from sqrt(1/2)
// to sqrt(2); with s = (m - 1) / (m + 1), log(m) = 2 (s + s^3 / 3 + s^5 / 5 + ...), |s| < 0.172, so that the terms
// beyond s^11 are below 2^-32 of it.
static inline float r2b_log(float x) {
    if (!(x >= 1.17549435e-38f)) return x != x || x < 0 ? NAN : -INFINITY;
    if (x > 3.40282347e38f) return x;
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    const int32_t n = (int32_t)((bits - 0x3f3504f3u) >> 23) - ((bits < 0x3f3504f3u) ? 512 : 0);
    bits -= (uint32_t)n << 23;
    float m;
    memcpy(&m, &bits, sizeof m);
    const float f = m - 1.0f;  // exact
    const float s = f / (m + 1.0f);
    const float z = s * s;
    float p = 1.0f / 11.0f;
    p = p * z + 1.0f / 9.0f;
    p = p * z + 1.0f / 7.0f;
    p = p * z + 1.0f / 5.0f;
    p = p * z + 1.0f / 3.0f;
    // 2 s = f - s f, which keeps the rounding of s out of the leading term.
    const float low = s * (2.0f * z * p - f) + (float)n * -2.12194440e-4f;
    return (float)n * 0.693359375f + (f + low);
}

// log(1 + exp(x)), error at most 3 ulp: max(x, 0) + log(1 + u) with u = exp(-|x|) <= 1. log(1 + u) is the series above
// with s = u / (2 + u) <= 1/3, whose terms beyond s^17 are below 2^-30 of it.
static inline float r2b_softplus(float x) {
    const float u = r2b_exp(x < 0 ? x : -x);
    const float s = u / (2.0f + u);
    const float z = s * s;
    float p = 1.0f / 17.0f;
    p = p * z + 1.0f / 15.0f;
    p = p * z + 1.0f / 13.0f;
    p = p * z + 1.0f / 11.0f;
    p = p * z + 1.0f / 9.0f;
    p = p * z + 1.0f / 7.0f;
    p = p * z + 1.0f / 5.0f;
    p = p * z + 1.0f / 3.0f;
    const float log = 2.0f * s + 2.0f * s * z * p;
    return x > 0 ? x + log : log;
}

// The square root, by Newton's method from a guess that halves the exponent; error at most 1 ulp, subnormal x count as
// 0.
static inline float r2b_sqrt(float x) {
    if (!(x >= 1.17549435e-38f)) return x != x || x < 0 ? NAN : x * 0.0f;
    if (x > 3.40282347e38f) return x;
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    bits = (bits >> 1) + 0x1fbb4000u;
    float y;
    memcpy(&y, &bits, sizeof y);
    for (int32_t i = 0; i < 4; i++) y = 0.5f * (y + x / y);
    return y;
}

#endif  // R2B_MATH_H
