// SPDX-License-Identifier: MIT-0
//
// r2b_map_portable.c: tile operations on a stored map, where there is no convolution or pool to fuse them into.
#include <string.h>

#include "r2b_kernels.h"

void r2b_map_portable(const r2b_map *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                      const r2b_parallel *parallel) {
    const float *const input = (const float *)(const void *)(arena + layer->input);
    float *const tile = (float *)(void *)(arena + layer->work);
    int32_t pixel = 0;
    (void)parallel;

    r2b_epilogue_begin(epilogue, arena);
    for (int32_t y = 0; y < layer->height; y++) {
        for (int32_t x = 0; x < layer->width; x++, pixel++) {
            memcpy(tile, input + pixel * layer->channels, (size_t)layer->channels * sizeof(float));
            r2b_epilogue_tile(epilogue, arena, pixel, tile);
        }
        r2b_epilogue_row(epilogue, arena);
    }
    r2b_epilogue_end(epilogue, arena);
}
