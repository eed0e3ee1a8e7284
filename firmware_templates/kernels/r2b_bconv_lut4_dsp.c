// SPDX-License-Identifier: MIT-0
//
// r2b_bconv_lut4_dsp.c: binary convolution by table lookup for Cortex-M4, M7 and M33; see r2b_lut4.h.
#define LUT4_KERNEL r2b_bconv_lut4_dsp
#define LUT4_V7M(part) r2b_lut4_##part##_dsp
#ifdef __ARM_FP
#define LUT4_UNIT r2b_lut4_unit_fpv
#endif

#include "r2b_lut4_v7m.h"
