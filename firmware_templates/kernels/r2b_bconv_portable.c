// SPDX-License-Identifier: MIT-0
//
// r2b_bconv_portable.c: binary convolution in plain C11, any shape, see r2b_bconv_row.h.
#include <string.h>

#include "r2b_bconv_row.h"

enum { BLOCK = 8 };  // output channels that share the loads of x

static inline uint32_t popcount64(uint64_t v) {
#if defined(__aarch64__) || defined(__POPCNT__)
    return (uint32_t)__builtin_popcountll(v);
#else
    // No instruction for it: pairs, nibbles, bytes, then their sum in the top byte.
    v -= (v >> 1) & 0x5555555555555555u;
    v = (v & 0x3333333333333333u) + ((v >> 2) & 0x3333333333333333u);
    v = (v + (v >> 4)) & 0x0f0f0f0f0f0f0f0fu;
    return (uint32_t)((v * 0x0101010101010101u) >> 56);
#endif
}

static inline uint64_t load64(const uint32_t *words) {
    uint64_t v;
    memcpy(&v, words, sizeof v);
    return v;
}

// Adds to differing[i] the differing bits of x and of the weights of channel i, which start at w + i * stride.
static inline void count_run(const uint32_t *x, const uint32_t *w, int32_t stride, int32_t words, int32_t channels,
                             uint32_t *differing) {
    int32_t k = 0;
    for (; k + 2 <= words; k += 2) {
        const uint64_t v = load64(x + k);
        for (int32_t i = 0; i < channels; i++) differing[i] += popcount64(v ^ load64(w + i * stride + k));
    }
    if (k < words) {
        for (int32_t i = 0; i < channels; i++) differing[i] += popcount64(x[k] ^ w[i * stride + k]);
    }
}

// The dot products of `channels` output channels; constant where it is called, so that the loops over it unroll.
static inline void dots(const uint32_t *x, const uint32_t *w, int32_t stride, const r2b_runs *r, int32_t taps,
                        int32_t channels, float *out) {
    uint32_t differing[BLOCK] = {0};
    for (int32_t i = 0; i < r->count; i++) {
        const int32_t at = r->start + i * r->stride;
        count_run(x + at, w + at, stride, r->words, channels, differing);
    }
    for (int32_t i = 0; i < channels; i++) out[i] = (float)(taps - 2 * (int32_t)differing[i]);
}

static void all_dots(uint32_t *x, const uint32_t *w, int32_t stride, const r2b_runs *r, int32_t taps, int32_t outputs,
                     float *out) {
    int32_t o = 0;
    for (; o + BLOCK <= outputs; o += BLOCK) dots(x, w + o * stride, stride, r, taps, BLOCK, out + o);
    for (; o < outputs; o++) dots(x, w + o * stride, stride, r, taps, 1, out + o);
}

void r2b_bconv_portable(const r2b_bconv *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                        const r2b_parallel *parallel) {
    (void)parallel;
    r2b_bconv_rows(layer, epilogue, arena, all_dots);
}
