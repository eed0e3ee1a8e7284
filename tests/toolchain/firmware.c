// A firmware of a product's kind with two models, each with its own arena, over one copy of the runtime. It reads the
// inputs of one and of the other, and writes: the status for an arena that is not aligned, one's output, the other's.
#include "one.h"
#include "other.h"
#include "port.h"

#ifdef BARE_METAL
#include "board.h"
#endif

#ifdef TIGHTLY_COUPLED
#include "prepare.h"  // from docs/bring-up.md
#endif

static _Alignas(R2B_ONE_ARENA_ALIGNMENT) R2B_ARENA uint8_t one_arena[R2B_ONE_ARENA_BYTES];
static _Alignas(R2B_OTHER_ARENA_ALIGNMENT) R2B_ARENA uint8_t other_arena[R2B_OTHER_ARENA_BYTES];
static float one_input[R2B_ONE_INPUT0_BYTES / 4], one_output[R2B_ONE_OUTPUT0_BYTES / 4];
static float other_input[R2B_OTHER_INPUT0_BYTES / 4], other_output[R2B_OTHER_OUTPUT0_BYTES / 4];

int main(void) {
    const void *const one_in[] = {one_input}, *const other_in[] = {other_input};
    void *const one_out[] = {one_output}, *const other_out[] = {other_output};
    const r2b_io one_io = {one_in, one_out}, other_io = {other_in, other_out};
    if (r2b_port_read(one_input, sizeof one_input, false) != R2B_LINE_READ) return 1;
    if (r2b_port_read(other_input, sizeof other_input, false) != R2B_LINE_READ) return 1;
    const uint8_t misaligned = (uint8_t)r2b_one_run(&one_io, one_arena + 8, NULL);
    if (r2b_one_run(&one_io, one_arena, NULL) != R2B_OK) return 1;
    if (r2b_other_run(&other_io, other_arena, NULL) != R2B_OK) return 1;
    return r2b_port_write(&misaligned, 1) && r2b_port_write(one_output, sizeof one_output) &&
                   r2b_port_write(other_output, sizeof other_output)
               ? 0
               : 1;
}
