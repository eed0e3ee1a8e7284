// SPDX-License-Identifier: MIT-0
//
// r2b_map_portable.c: tile operations on a stored map, where there is no convolution or pool to fuse them into.
#include <string.h>

#include "r2b_kernels.h"

enum { VALUES = 512 };  // at a time: they stay in the smallest first-level cache there is

// Where the result may be made in place, several pixels go at once: a pixel of an image has few channels.
void r2b_map_portable(const r2b_map *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                      const r2b_parallel *parallel) {
    const float *const input = (const float *)(const void *)(arena + layer->input);
    float *const place = r2b_epilogue_place(epilogue, arena);
    float *tiles = (float *)(void *)(arena + layer->work);
    const int32_t most = place && layer->channels < VALUES ? VALUES / layer->channels : 1;
    (void)parallel;

    r2b_epilogue_begin(epilogue, arena);
    for (int32_t y = 0; y < layer->height; y++) {
        for (int32_t x = 0; x < layer->width; x += most) {
            const int32_t count = layer->width - x < most ? layer->width - x : most;
            const int32_t pixel = y * layer->width + x;
            const float *const from = input + pixel * layer->channels;
            if (place) tiles = place + pixel * layer->channels;
            if (tiles != from) memcpy(tiles, from, (size_t)(count * layer->channels) * sizeof(float));
            r2b_epilogue_tiles(epilogue, arena, pixel, count, tiles);
        }
        r2b_epilogue_row(epilogue, arena);
    }
    r2b_epilogue_end(epilogue, arena);
}
