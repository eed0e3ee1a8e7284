// SPDX-License-Identifier: MIT-0
//
// The runtime's interface from a user's side; prints "ok" if all of it holds.
#include <stdalign.h>
#include <stdio.h>
#include <string.h>

#include "first.h"
#include "second.h"

#define EXPECT(condition)                                  \
    do {                                                   \
        if (!(condition)) {                                \
            printf("line %d: %s\n", __LINE__, #condition); \
            return 1;                                      \
        }                                                  \
    } while (0)

static alignas(32) uint8_t room[R2B_FIRST_ARENA_BYTES + 32];
static alignas(R2B_SECOND_ARENA_ALIGNMENT) uint8_t other[R2B_SECOND_ARENA_BYTES];

int main(void) {
    uint8_t *const arena = room;
    const r2b_model *const model = &r2b_first_model;
    const float input[3] = {-5.0f, 0.0f, 2.0f};  // the net: sigmoid(clip(x, -1, inf))
    float output[3] = {0};
    const void *inputs[1] = {input};
    void *outputs[1] = {output};
    const r2b_io io = {inputs, outputs};

    EXPECT(R2B_FIRST_INPUT_COUNT == 1 && R2B_FIRST_OUTPUT_COUNT == 1);
    EXPECT(R2B_FIRST_INPUT0_BYTES == sizeof input && R2B_FIRST_OUTPUT0_BYTES == sizeof output);
    EXPECT(model->arena_bytes == R2B_FIRST_ARENA_BYTES && model->step_count == R2B_FIRST_STEP_COUNT);

    EXPECT(r2b_first_run(&io, arena, NULL) == R2B_OK);
    EXPECT(output[0] > 0.26894f && output[0] < 0.26895f);
    EXPECT(output[1] == 0.5f);
    EXPECT(output[2] > 0.88079f && output[2] < 0.88080f);

    // Null pointers: the data lies in the arena already, and the result stays there.
    const void *no_inputs[1] = {NULL};
    void *no_outputs[1] = {NULL};
    const r2b_io in_place = {no_inputs, no_outputs};
    memcpy(arena + model->tensors[model->inputs[0]].offset, input, sizeof input);
    EXPECT(r2b_first_run(&in_place, arena, NULL) == R2B_OK);
    EXPECT(memcmp(arena + model->tensors[model->outputs[0]].offset, output, sizeof output) == 0);

    // Refusals.
    const r2b_io half = {NULL, outputs};
    const r2b_io other_half = {inputs, NULL};
    EXPECT(r2b_run(NULL, &io, arena, NULL) == R2B_ERROR_ARGUMENT);
    EXPECT(r2b_run(model, NULL, arena, NULL) == R2B_ERROR_ARGUMENT);
    EXPECT(r2b_run(model, &half, arena, NULL) == R2B_ERROR_ARGUMENT);
    EXPECT(r2b_run(model, &other_half, arena, NULL) == R2B_ERROR_ARGUMENT);
    EXPECT(r2b_run(model, &io, NULL, NULL) == R2B_ERROR_ARGUMENT);
    EXPECT(r2b_run(model, &io, arena + 4, NULL) == R2B_ERROR_ALIGNMENT);
    EXPECT(r2b_first_run_steps(arena, 0, R2B_FIRST_STEP_COUNT - 1, NULL) == R2B_OK);
    EXPECT(r2b_first_run_steps(arena, 0, R2B_FIRST_STEP_COUNT, NULL) == R2B_ERROR_ARGUMENT);
    EXPECT(r2b_first_run_steps(arena, 1, 0, NULL) == R2B_ERROR_ARGUMENT);
    EXPECT(r2b_run_steps(model, arena + 8, 0, 0, NULL) == R2B_ERROR_ALIGNMENT);

    // Another model beside it.
    EXPECT(r2b_second_run_steps(other, 0, R2B_SECOND_STEP_COUNT - 1, NULL) == R2B_OK);
    EXPECT(memcmp(r2b_second_model.hash, model->hash, sizeof model->hash) != 0);

    puts("ok");
    return 0;
}
