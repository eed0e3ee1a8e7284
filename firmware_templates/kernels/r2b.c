// SPDX-License-Identifier: MIT-0
//
// r2b.c: runs a model's table of steps. See r2b.h.
#include "r2b.h"

#include <string.h>

static r2b_status check(const r2b_model *model, const void *arena) {
    if (model == NULL || arena == NULL) return R2B_ERROR_ARGUMENT;
    return (uintptr_t)arena % model->arena_alignment == 0 ? R2B_OK : R2B_ERROR_ALIGNMENT;
}

r2b_status r2b_run_steps(const r2b_model *model, void *arena, uint32_t first, uint32_t last,
                         const r2b_parallel *parallel) {
    const r2b_status status = check(model, arena);
    if (status != R2B_OK) return status;
    if (first > last || last >= model->step_count) return R2B_ERROR_ARGUMENT;
    for (uint32_t i = first; i <= last; i++) model->steps[i].run(arena, parallel);
    return R2B_OK;
}

r2b_status r2b_run(const r2b_model *model, const r2b_io *io, void *arena, const r2b_parallel *parallel) {
    r2b_status status = check(model, arena);
    if (status != R2B_OK) return status;
    if (io == NULL || io->inputs == NULL || io->outputs == NULL) return R2B_ERROR_ARGUMENT;

    uint8_t *const base = arena;
    for (uint32_t i = 0; i < model->input_count; i++) {
        const r2b_tensor *const tensor = &model->tensors[model->inputs[i]];
        if (io->inputs[i] != NULL) memcpy(base + tensor->offset, io->inputs[i], tensor->bytes);
    }
    status = r2b_run_steps(model, arena, 0, model->step_count - 1, parallel);
    if (status != R2B_OK) return status;
    for (uint32_t i = 0; i < model->output_count; i++) {
        const r2b_tensor *const tensor = &model->tensors[model->outputs[i]];
        if (io->outputs[i] != NULL) memcpy(io->outputs[i], base + tensor->offset, tensor->bytes);
    }
    return R2B_OK;
}
