// SPDX-License-Identifier: MIT-0
//
// r2b_fconv_dsp_loops.h: the loops of r2b_fconv_dsp.c, which includes it once for each storage of the weights.
//     NAME(loop)    what a loop is called.
//     WEIGHT_BYTES  of a weight.
//     WEIGHTS       loads 8 of them from w to s16-s23, and moves w on.

// All blocks of one pixel: `rows` > 0 runs of `run` > 0 floats; next_x and next_w are bytes from the end of a run to
// the next. Not inlined, since one statement takes nearly all registers there are.
static __attribute__((noinline)) void NAME(one)(const r2b_fconv_row *line, const r2b_fconv_group *group, float *to) {
    const uint8_t *weights = line->weights + group->tap * 8 * WEIGHT_BYTES;
    const float *biases = line->bias;
    const int32_t run = group->run;
    const int32_t next_x = (line->next_x - run) * 4;
    const int32_t next_w = (line->taps - run) * 8 * WEIGHT_BYTES;
    for (int32_t i = 0; i < line->blocks; i++, weights += line->block * WEIGHT_BYTES, biases += 8, to += 8) {
        const float *x = group->x;
        const uint8_t *w = weights;
        const float *n = biases;  // then counts
        int32_t rows = line->rows;
        __asm__ volatile(
            "vldmia %[n], {s0-s7}\n"
            "1:\n\t"
            "subs %[n], %[run], #4\n\t"
            "blt 3f\n"
            "2:\n\t"
            "vldmia %[x]!, {s24-s27}\n\t" ONE(24) ONE(25) ONE(26) ONE(27)
            "subs %[n], %[n], #4\n\t"
            "bge 2b\n"
            "3:\n\t"
            "adds %[n], %[n], #4\n\t"
            "beq 5f\n"
            "4:\n\t"
            "vldmia %[x]!, {s24}\n\t" ONE(24)
            "subs %[n], %[n], #1\n\t"
            "bne 4b\n"
            "5:\n\t"
            "add %[x], %[x], %[next_x]\n\t"
            "add %[w], %[w], %[next_w]\n\t"
            "subs %[rows], %[rows], #1\n\t"
            "bne 1b\n\t"
            "ldr %[n], %[to]\n\t"
            "vstmia %[n], {s0-s7}\n\t"
            : [x] "+r"(x), [w] "+r"(w), [n] "+r"(n), [rows] "+r"(rows)
            : [run] "r"(run), [next_x] "r"(next_x), [next_w] "r"(next_w), [to] "m"(to)
            : CLOBBERED);
    }
}

// The same for two pixels.
static __attribute__((noinline)) void NAME(two)(const r2b_fconv_row *line, const r2b_fconv_group *group, float *to) {
    const uint8_t *weights = line->weights + group->tap * 8 * WEIGHT_BYTES;
    const float *biases = line->bias;
    const int32_t run = group->run;
    const int32_t next_x = (line->next_x - run) * 4;
    const int32_t next_w = (line->taps - run) * 8 * WEIGHT_BYTES;
    for (int32_t i = 0; i < line->blocks; i++, weights += line->block * WEIGHT_BYTES, biases += 8, to += 8) {
        const float *x0 = group->x;
        const float *x1 = x0 + line->pixel_x;
        const uint8_t *w = weights;
        const float *n = biases;
        float *const to1 = to + line->pitch;
        int32_t rows = line->rows;
        __asm__ volatile(
            "vldmia %[n], {s0-s7}\n\t"
            "vldmia %[n], {s8-s15}\n"
            "1:\n\t"
            "subs %[n], %[run], #4\n\t"
            "blt 3f\n"
            "2:\n\t"
            "vldmia %[x0]!, {s24-s27}\n\t"
            "vldmia %[x1]!, {s28-s31}\n\t" TWO(24, 28) TWO(25, 29) TWO(26, 30) TWO(27, 31)
            "subs %[n], %[n], #4\n\t"
            "bge 2b\n"
            "3:\n\t"
            "adds %[n], %[n], #4\n\t"
            "beq 5f\n"
            "4:\n\t"
            "vldmia %[x0]!, {s24}\n\t"
            "vldmia %[x1]!, {s28}\n\t" TWO(24, 28)
            "subs %[n], %[n], #1\n\t"
            "bne 4b\n"
            "5:\n\t"
            "add %[x0], %[x0], %[next_x]\n\t"
            "add %[x1], %[x1], %[next_x]\n\t"
            "ldr %[n], %[next_w]\n\t"
            "add %[w], %[w], %[n]\n\t"
            "subs %[rows], %[rows], #1\n\t"
            "bne 1b\n\t"
            "ldr %[n], %[to0]\n\t"
            "vstmia %[n], {s0-s7}\n\t"
            "ldr %[n], %[to1]\n\t"
            "vstmia %[n], {s8-s15}\n\t"
            : [x0] "+r"(x0), [x1] "+r"(x1), [w] "+r"(w), [n] "+r"(n), [rows] "+r"(rows)
            : [run] "r"(run), [next_x] "r"(next_x), [next_w] "m"(next_w), [to0] "m"(to), [to1] "m"(to1)
            : CLOBBERED);
    }
}
