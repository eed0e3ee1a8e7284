// SPDX-License-Identifier: MIT-0
//
// r2b_fconv_bytes_portable.c: convolution in float32 of a map of bytes, any shape.
#include "r2b_bytes.h"
#include "r2b_fconv_loops.h"

static inline __attribute__((always_inline)) void convolve(const r2b_fconv *layer, const r2b_epilogue *epilogue,
                                                           uint8_t *arena, int half) {
    const r2b_window *const g = &layer->window;
    float *const tile = (float *)(void *)(arena + layer->work);
    r2b_bytes bytes = {.input = arena + layer->input, .scale = layer->scale, .offset = layer->offset};
    bytes.rows = tile + (g->out_channels + 3) / 4 * 4;
    int32_t pixel = 0;

    r2b_epilogue_begin(epilogue, arena);
    for (int32_t oy = 0; oy < g->out_height; oy++) {
        r2b_bytes_move(&bytes, g, oy);
        position at = {.input = bytes.rows};
        at.taps_y = r2b_taps_inside(oy * g->stride_y - g->pad_top, g->in_height, g->kernel_y, g->dilation_y);
        for (int32_t ox = 0; ox < g->out_width; ox++, pixel++) {
            at.x = ox * g->stride_x - g->pad_left;
            at.taps_x = r2b_taps_inside(at.x, g->in_width, g->kernel_x, g->dilation_x);
            all_outputs(layer, &at, half, tile);
            r2b_epilogue_tile(epilogue, arena, pixel, tile);
        }
        r2b_epilogue_row(epilogue, arena);
    }
    r2b_epilogue_end(epilogue, arena);
}

void r2b_fconv_bytes_portable(const r2b_fconv *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                              const r2b_parallel *parallel) {
    (void)parallel;
    convolve(layer, epilogue, arena, 0);
}

void r2b_fconv_bytes_portable_half(const r2b_fconv *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                                   const r2b_parallel *parallel) {
    (void)parallel;
    convolve(layer, epilogue, arena, 1);
}
