// SPDX-License-Identifier: MIT-0
//
// r2b_fconv_dsp.c: convolution and dense layer in float32 for the scalar FPU of a Cortex-M4, M7 or M33.
//
// 2 pixels x 8 output channels in s0-s15; s16-s23 hold the weights of one tap and channel, s24-s27 and s28-s31 four
// values of each pixel. Four steps take 4 + 2 loads and 64 multiply-adds, with the loop's own two instructions 72: 0.89
// multiply-adds an instruction; compilers, which load floats one by one and keep fewer in registers, reach half of it.
// VLDM takes a cycle more than it loads registers, and VFMA one cycle on M7 and M33 but three on M4.
#include "r2b_kernels.h"

enum { PIXELS = 2, LINE = 8 };

#include "r2b_fconv_blocks.h"

#define FMA(sum, w, x) "vfma.f32 s" #sum ", s" #w ", s" #x "\n\t"
#define FIRST(x) \
    FMA(0, 16, x) FMA(1, 17, x) FMA(2, 18, x) FMA(3, 19, x) FMA(4, 20, x) FMA(5, 21, x) FMA(6, 22, x) FMA(7, 23, x)
#define SECOND(x) \
    FMA(8, 16, x) \
    FMA(9, 17, x) FMA(10, 18, x) FMA(11, 19, x) FMA(12, 20, x) FMA(13, 21, x) FMA(14, 22, x) FMA(15, 23, x)
#define WEIGHTS "vldmia %[w]!, {s16-s23}\n\t"
#define ONE(x) WEIGHTS FIRST(x)
#define TWO(x0, x1) WEIGHTS FIRST(x0) SECOND(x1)
#define CLOBBERED                                                                                                      \
    "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "s12", "s13", "s14", "s15", "s16",       \
        "s17", "s18", "s19", "s20", "s21", "s22", "s23", "s24", "s25", "s26", "s27", "s28", "s29", "s30", "s31", "cc", \
        "memory"

// All blocks of one pixel: `rows` > 0 runs of `run` > 0 floats; next_x and next_w are bytes from the end of a run to
// the next. Not inlined, since one statement takes nearly all registers there are.
static __attribute__((noinline)) void one(const r2b_fconv_row *line, const r2b_fconv_group *group, float *to) {
    const float *weights = line->weights + group->tap * 8;
    const float *biases = line->bias;
    const int32_t run = group->run;
    const int32_t next_x = (line->next_x - run) * 4;
    const int32_t next_w = (line->taps - run) * 32;
    for (int32_t i = 0; i < line->blocks; i++, weights += line->block, biases += 8, to += 8) {
        const float *x = group->x;
        const float *w = weights;
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
static __attribute__((noinline)) void two(const r2b_fconv_row *line, const r2b_fconv_group *group, float *to) {
    const float *weights = line->weights + group->tap * 8;
    const float *biases = line->bias;
    const int32_t run = group->run;
    const int32_t next_x = (line->next_x - run) * 4;
    const int32_t next_w = (line->taps - run) * 32;
    for (int32_t i = 0; i < line->blocks; i++, weights += line->block, biases += 8, to += 8) {
        const float *x0 = group->x;
        const float *x1 = x0 + line->pixel_x;
        const float *w = weights;
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

static void r2b_fconv_line(const r2b_fconv_row *line) {
    float *to = line->to;
    for (int32_t i = 0; i < line->count; i++) {
        const r2b_fconv_group *const group = &line->groups[i];
        if (line->rows <= 0 || group->run <= 0) {
            memcpy(to, line->bias, (size_t)line->pitch * sizeof *to);
        } else {
            (group->pixels == 1 ? one : two)(line, group, to);
        }
        to += group->pixels * line->pitch;
    }
}

void r2b_fconv_dsp(const r2b_fconv_blocks *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                   const r2b_parallel *parallel) {
    (void)parallel;
    r2b_fconv_blocks_run(layer, epilogue, arena);
}

void r2b_dense_dsp(const r2b_dense *layer, const r2b_epilogue *epilogue, uint8_t *arena, const r2b_parallel *parallel) {
    (void)parallel;
    r2b_dense_blocks_run(layer, epilogue, arena);
}
