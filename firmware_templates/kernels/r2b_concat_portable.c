// SPDX-License-Identifier: MIT-0
//
// r2b_concat_portable.c: maps side by side along the channels.
#include <string.h>

#include "r2b_kernels.h"

void r2b_concat_portable(const r2b_concat *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                         const r2b_parallel *parallel) {
    float *const tile = (float *)(void *)(arena + layer->work);
    int32_t pixel = 0;
    (void)parallel;

    r2b_epilogue_begin(epilogue, arena);
    for (int32_t y = 0; y < layer->height; y++) {
        for (int32_t x = 0; x < layer->width; x++, pixel++) {
            float *to = tile;
            for (int32_t i = 0; i < layer->parts; i++) {
                const int32_t channels = (int32_t)layer->channels[i];
                const float *const part = (const float *)(const void *)(arena + layer->inputs[i]);
                memcpy(to, part + pixel * channels, (size_t)channels * sizeof(float));
                to += channels;
            }
            r2b_epilogue_tile(epilogue, arena, pixel, tile);
        }
        r2b_epilogue_row(epilogue, arena);
    }
    r2b_epilogue_end(epilogue, arena);
}
