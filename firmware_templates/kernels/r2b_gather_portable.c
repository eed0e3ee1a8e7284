// SPDX-License-Identifier: MIT-0
//
// r2b_gather_portable.c: a selection of rows, columns and channels; slices, padding, shuffles and repetition.
#include <string.h>

#include "r2b_kernels.h"

void r2b_gather_portable(const r2b_gather *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                         const r2b_parallel *parallel) {
    const float *const input = (const float *)(const void *)(arena + layer->input);
    float *const tile = (float *)(void *)(arena + layer->work);
    const int32_t channels = layer->out_channels;
    int32_t pixel = 0;
    (void)parallel;

    r2b_epilogue_begin(epilogue, arena);
    for (int32_t y = 0; y < layer->out_height; y++) {
        const uint32_t row = layer->rows[y];
        for (int32_t x = 0; x < layer->out_width; x++, pixel++) {
            const uint32_t column = layer->columns[x];
            if (row == R2B_NOWHERE || column == R2B_NOWHERE) {
                for (int32_t c = 0; c < channels; c++) tile[c] = layer->fill;
            } else {
                const int32_t at = (int32_t)row * layer->in_width + (int32_t)column;
                const float *const from = input + at * layer->in_channels;
                if (layer->channels == NULL) {
                    memcpy(tile, from, (size_t)channels * sizeof(float));
                } else {
                    for (int32_t c = 0; c < channels; c++) {
                        const uint32_t source = layer->channels[c];
                        tile[c] = source == R2B_NOWHERE ? layer->fill : from[source];
                    }
                }
            }
            r2b_epilogue_tile(epilogue, arena, pixel, tile);
        }
        r2b_epilogue_row(epilogue, arena);
    }
    r2b_epilogue_end(epilogue, arena);
}
