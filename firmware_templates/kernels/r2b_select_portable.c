// SPDX-License-Identifier: MIT-0
//
// r2b_select_portable.c: one of two values by a condition on a third.
#include "r2b_kernels.h"

void r2b_select_portable(const r2b_select *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                         const r2b_parallel *parallel) {
    const int32_t channels = layer->channels;
    const uint32_t *const inputs = layer->inputs;
    const float *const x = (const float *)(const void *)(arena + inputs[0]);
    const float *const a = layer->a ? layer->a : (const float *)(const void *)(arena + inputs[1]);
    const float *const b = layer->b ? layer->b : (const float *)(const void *)(arena + inputs[layer->a ? 1 : 2]);
    float *const tile = (float *)(void *)(arena + layer->work);
    int32_t pixel = 0;
    (void)parallel;

    r2b_epilogue_begin(epilogue, arena);
    for (int32_t row = 0; row < layer->height; row++) {
        for (int32_t column = 0; column < layer->width; column++, pixel++) {
            const int32_t at = pixel * channels;
            for (int32_t c = 0; c < channels; c++) {
                float holds = layer->values[c];
                for (int32_t k = 0; k < layer->count; k++) {
                    if (x[at + c] >= layer->thresholds[k * channels + c]) {
                        holds = layer->values[(k + 1) * channels + c];
                    }
                }
                tile[c] = holds != 0 ? a[layer->a ? c : at + c] : b[layer->b ? c : at + c];
            }
            r2b_epilogue_tile(epilogue, arena, pixel, tile);
        }
        r2b_epilogue_row(epilogue, arena);
    }
    r2b_epilogue_end(epilogue, arena);
}
