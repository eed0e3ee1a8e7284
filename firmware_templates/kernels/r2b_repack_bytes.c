// SPDX-License-Identifier: MIT-0
//
// r2b_repack_bytes.c: a map of bytes as float32, for readers that take no bytes.
#include "r2b_kernels.h"

void r2b_repack_bytes(const r2b_repack *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                      const r2b_parallel *parallel) {
    const uint8_t *const from = arena + layer->input;
    float *const to = (float *)(void *)(arena + epilogue->ops[0].at);
    const int32_t count = layer->height * layer->width * layer->channels;
    (void)parallel;
    for (int32_t i = 0; i < count; i++) to[i] = (float)from[i];
}
