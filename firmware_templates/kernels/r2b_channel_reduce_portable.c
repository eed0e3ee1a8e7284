// SPDX-License-Identifier: MIT-0
//
// r2b_channel_reduce_portable.c: the channels' mean or maximum at each pixel.
#include "r2b_kernels.h"

enum { BLOCK = 32 };  // a sum of sums of blocks rounds less than one long sum

static float mean(const float *x, int32_t channels) {
    float total = 0;
    for (int32_t first = 0; first < channels; first += BLOCK) {
        const int32_t end = channels - first < BLOCK ? channels : first + BLOCK;
        float sum = 0;
        for (int32_t c = first; c < end; c++) sum += x[c];
        total += sum;
    }
    return total / (float)channels;
}

static float largest(const float *x, int32_t channels) {
    float most = x[0];
    for (int32_t c = 1; c < channels; c++) most = x[c] > most ? x[c] : most;
    return most;
}

void r2b_channel_reduce_portable(const r2b_channel_reduce *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                                 const r2b_parallel *parallel) {
    const float *const input = (const float *)(const void *)(arena + layer->input);
    float *const tile = (float *)(void *)(arena + layer->work);
    int32_t pixel = 0;
    (void)parallel;

    r2b_epilogue_begin(epilogue, arena);
    for (int32_t y = 0; y < layer->height; y++) {
        for (int32_t x = 0; x < layer->width; x++, pixel++) {
            const float *const from = input + pixel * layer->channels;
            tile[0] = layer->is_mean ? mean(from, layer->channels) : largest(from, layer->channels);
            r2b_epilogue_tile(epilogue, arena, pixel, tile);
        }
        r2b_epilogue_row(epilogue, arena);
    }
    r2b_epilogue_end(epilogue, arena);
}
