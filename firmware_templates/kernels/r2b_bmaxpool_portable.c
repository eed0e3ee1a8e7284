// SPDX-License-Identifier: MIT-0
//
// r2b_bmaxpool_portable.c: maxima of bits over windows.
//
// A bit is 0 for +1, so that the maximum of bits is the `and` of their words. The epilogue is one STORE, which the
// kernel does itself, in bits.
#include "r2b_kernels.h"

void r2b_bmaxpool_portable(const r2b_pool *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                           const r2b_parallel *parallel) {
    const r2b_window *const g = &layer->window;
    const int32_t words = (g->in_channels + 31) / 32;
    const int32_t rest = g->in_channels % 32;
    const uint32_t *const input = (const uint32_t *)(const void *)(arena + layer->input);
    uint32_t *out = (uint32_t *)(void *)(arena + epilogue->ops[0].at);
    (void)parallel;

    for (int32_t oy = 0; oy < g->out_height; oy++) {
        const int32_t iy = oy * g->stride_y - g->pad_top;
        const r2b_taps ty = r2b_taps_inside(iy, g->in_height, g->kernel_y, g->dilation_y);
        for (int32_t ox = 0; ox < g->out_width; ox++) {
            const int32_t ix = ox * g->stride_x - g->pad_left;
            const r2b_taps tx = r2b_taps_inside(ix, g->in_width, g->kernel_x, g->dilation_x);
            for (int32_t i = 0; i < words; i++) {
                uint32_t word = i == words - 1 && rest > 0 ? (1u << rest) - 1u : UINT32_MAX;
                for (int32_t ky = ty.first; ky < ty.last; ky++) {
                    const int32_t row = (iy + ky * g->dilation_y) * g->in_width + ix;
                    for (int32_t kx = tx.first; kx < tx.last; kx++)
                        word &= input[(row + kx * g->dilation_x) * words + i];
                }
                *out++ = word;
            }
        }
    }
}
