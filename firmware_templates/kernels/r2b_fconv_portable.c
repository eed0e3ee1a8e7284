// SPDX-License-Identifier: MIT-0
//
// r2b_fconv_portable.c: convolution in float32, direct, any shape.
#include "r2b_fconv_loops.h"

static inline __attribute__((always_inline)) void convolve(const r2b_fconv *layer, const r2b_epilogue *epilogue,
                                                           uint8_t *arena, int half) {
    const r2b_window *const g = &layer->window;
    float *const place = r2b_epilogue_place(epilogue, arena);
    float *tile = (float *)(void *)(arena + layer->work);
    const float *const input = (const float *)(const void *)(arena + layer->input);
    int32_t pixel = 0;

    r2b_epilogue_begin(epilogue, arena);
    for (int32_t oy = 0; oy < g->out_height; oy++) {
        position at = {.input = input, .y = oy * g->stride_y - g->pad_top};
        at.taps_y = r2b_taps_inside(at.y, g->in_height, g->kernel_y, g->dilation_y);
        for (int32_t ox = 0; ox < g->out_width; ox++, pixel++) {
            if (place) tile = place + pixel * g->out_channels;
            at.x = ox * g->stride_x - g->pad_left;
            at.taps_x = r2b_taps_inside(at.x, g->in_width, g->kernel_x, g->dilation_x);
            all_outputs(layer, &at, half, tile);
            r2b_epilogue_tile(epilogue, arena, pixel, tile);
        }
        r2b_epilogue_row(epilogue, arena);
    }
    r2b_epilogue_end(epilogue, arena);
}

void r2b_fconv_portable(const r2b_fconv *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                        const r2b_parallel *parallel) {
    (void)parallel;
    convolve(layer, epilogue, arena, 0);
}

void r2b_fconv_portable_half(const r2b_fconv *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                             const r2b_parallel *parallel) {
    (void)parallel;
    convolve(layer, epilogue, arena, 1);
}
