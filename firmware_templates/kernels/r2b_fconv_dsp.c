// SPDX-License-Identifier: MIT-0
//
// r2b_fconv_dsp.c: convolution and dense layer in float32 for the scalar FPU of a Cortex-M4, M7 or M33.
//
// 2 pixels x 8 output channels in s0-s15; s16-s23 hold the weights of one tap and channel, s24-s27 and s28-s31 four
// values of each pixel. Four steps take 4 + 2 loads and 64 multiply-adds, with the loop's own two instructions 72: 0.89
// multiply-adds an instruction; halves take 24 to 32 more. Compilers, which load floats one by one and keep fewer in
// registers, reach half of it. VLDM takes a cycle more than it loads registers, and VFMA one cycle on M7 and M33 but
// three on M4.
#include "r2b_kernels.h"

enum { PIXELS = 2, LINE = 8 };

#include "r2b_fconv_blocks.h"

#define FMA(sum, w, x) "vfma.f32 s" #sum ", s" #w ", s" #x "\n\t"
#define FIRST(x) \
    FMA(0, 16, x) FMA(1, 17, x) FMA(2, 18, x) FMA(3, 19, x) FMA(4, 20, x) FMA(5, 21, x) FMA(6, 22, x) FMA(7, 23, x)
#define SECOND(x) \
    FMA(8, 16, x) \
    FMA(9, 17, x) FMA(10, 18, x) FMA(11, 19, x) FMA(12, 20, x) FMA(13, 21, x) FMA(14, 22, x) FMA(15, 23, x)
#define ONE(x) WEIGHTS FIRST(x)
#define TWO(x0, x1) WEIGHTS FIRST(x0) SECOND(x1)
#define CLOBBERED                                                                                                      \
    "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "s12", "s13", "s14", "s15", "s16",       \
        "s17", "s18", "s19", "s20", "s21", "s22", "s23", "s24", "s25", "s26", "s27", "s28", "s29", "s30", "s31", "cc", \
        "memory"

#define NAME(loop) loop
#define WEIGHT_BYTES 4
#define WEIGHTS "vldmia %[w]!, {s16-s23}\n\t"
#include "r2b_fconv_dsp_loops.h"
#undef NAME
#undef WEIGHT_BYTES
#undef WEIGHTS

#define NAME(loop) loop##_half
#define WEIGHT_BYTES 2
// Two halves in each of s16-s19, spread from the last one on: VCVTB takes the lower one of a register, VCVTT the upper.
#define WEIGHTS                                                                                                \
    "vldmia %[w]!, {s16-s19}\n\t"                                                                              \
    "vcvtt.f32.f16 s23, s19\n\tvcvtb.f32.f16 s22, s19\n\tvcvtt.f32.f16 s21, s18\n\tvcvtb.f32.f16 s20, s18\n\t" \
    "vcvtt.f32.f16 s19, s17\n\tvcvtb.f32.f16 s18, s17\n\tvcvtt.f32.f16 s17, s16\n\tvcvtb.f32.f16 s16, s16\n\t"
#include "r2b_fconv_dsp_loops.h"

static inline __attribute__((always_inline)) void r2b_fconv_line(const r2b_fconv_row *line, int half) {
    float *to = line->to;
    for (int32_t i = 0; i < line->count; i++) {
        const r2b_fconv_group *const group = &line->groups[i];
        if (line->rows <= 0 || group->run <= 0) {
            memcpy(to, line->bias, (size_t)line->pitch * sizeof *to);
        } else {
            if (half) {
                (group->pixels == 1 ? one_half : two_half)(line, group, to);
            } else {
                (group->pixels == 1 ? one : two)(line, group, to);
            }
        }
        to += group->pixels * line->pitch;
    }
}

void r2b_fconv_dsp(const r2b_fconv_blocks *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                   const r2b_parallel *parallel) {
    (void)parallel;
    r2b_fconv_blocks_run(layer, epilogue, arena, 0, 0);
}

void r2b_fconv_dsp_half(const r2b_fconv_blocks *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                        const r2b_parallel *parallel) {
    (void)parallel;
    r2b_fconv_blocks_run(layer, epilogue, arena, 1, 0);
}

void r2b_fconv_bytes_dsp(const r2b_fconv_blocks *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                         const r2b_parallel *parallel) {
    (void)parallel;
    r2b_fconv_blocks_run(layer, epilogue, arena, 0, 1);
}

void r2b_fconv_bytes_dsp_half(const r2b_fconv_blocks *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                              const r2b_parallel *parallel) {
    (void)parallel;
    r2b_fconv_blocks_run(layer, epilogue, arena, 1, 1);
}

void r2b_dense_dsp(const r2b_dense *layer, const r2b_epilogue *epilogue, uint8_t *arena, const r2b_parallel *parallel) {
    (void)parallel;
    r2b_dense_blocks_share(layer, arena, 1, 0, 0);
    r2b_dense_blocks_finish(layer, epilogue, arena);
}

void r2b_dense_dsp_half(const r2b_dense *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                        const r2b_parallel *parallel) {
    (void)parallel;
    r2b_dense_blocks_share(layer, arena, 1, 0, 1);
    r2b_dense_blocks_finish(layer, epilogue, arena);
}
