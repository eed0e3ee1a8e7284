// SPDX-License-Identifier: MIT-0
//
// r2b_repack_bits.c: bits from BITS32 to BITS128 and back, for a map whose readers do not agree.
#include "r2b_kernels.h"

// The words of each pixel: [words] in BITS32, [ceil(words / 4)][4] in BITS128, where chunks are `step` words apart.
static inline uint32_t *word_of_chunks(uint32_t *map, const r2b_repack *layer, int32_t y, int32_t x, int32_t word) {
    const int32_t chunks = (layer->channels + 127) / 128;
    return map + ((y * chunks + word / 4) * layer->width + x) * 4 + word % 4;
}

void r2b_repack_bits128(const r2b_repack *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                        const r2b_parallel *parallel) {
    const uint32_t *from = (const uint32_t *)(const void *)(arena + layer->input);
    uint32_t *const to = (uint32_t *)(void *)(arena + epilogue->ops[0].at);
    const int32_t words = (layer->channels + 31) / 32;
    (void)parallel;
    for (int32_t y = 0; y < layer->height; y++) {
        for (int32_t x = 0; x < layer->width; x++, from += words) {
            for (int32_t k = 0; k < (words + 3) / 4 * 4; k++) {
                const int32_t source = layer->channels <= 32 ? 0 : layer->channels <= 64 ? k % 2 : k;
                *word_of_chunks(to, layer, y, x, k) = source < words ? from[source] : 0u;
            }
        }
    }
}

void r2b_repack_bits32(const r2b_repack *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                       const r2b_parallel *parallel) {
    uint32_t *const from = (uint32_t *)(void *)(arena + layer->input);
    uint32_t *to = (uint32_t *)(void *)(arena + epilogue->ops[0].at);
    const int32_t words = (layer->channels + 31) / 32;
    (void)parallel;
    for (int32_t y = 0; y < layer->height; y++) {
        for (int32_t x = 0; x < layer->width; x++, to += words) {
            for (int32_t k = 0; k < words; k++) to[k] = *word_of_chunks(from, layer, y, x, k);
        }
    }
}
