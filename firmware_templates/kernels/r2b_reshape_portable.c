// SPDX-License-Identifier: MIT-0
//
// r2b_reshape_portable.c: the same values in another shape, in the order channels, rows, columns.
#include "r2b_kernels.h"

void r2b_reshape_portable(const r2b_reshape *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                          const r2b_parallel *parallel) {
    const int32_t pixels = layer->in_height * layer->in_width;
    const int32_t out_pixels = layer->out_height * layer->out_width;
    const float *const input = (const float *)(const void *)(arena + layer->input);
    float *const tile = (float *)(void *)(arena + layer->work);
    (void)parallel;

    r2b_epilogue_begin(epilogue, arena);
    for (int32_t pixel = 0; pixel < out_pixels; pixel++) {
        for (int32_t c = 0; c < layer->out_channels; c++) {
            const int32_t at = c * out_pixels + pixel;  // as if both lay channel by channel
            tile[c] = input[at % pixels * layer->in_channels + at / pixels];
        }
        r2b_epilogue_tile(epilogue, arena, pixel, tile);
        if ((pixel + 1) % layer->out_width == 0) r2b_epilogue_row(epilogue, arena);
    }
    r2b_epilogue_end(epilogue, arena);
}
