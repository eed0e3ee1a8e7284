// SPDX-License-Identifier: MIT-0
//
// r2b_bconv_lut4_c32.c: binary convolution by table lookup in plain C, vectors of 32 pixels; see r2b_lut4.h.
#define LUT4_KERNEL r2b_bconv_lut4_c32
#define LUT4_PIXELS 32
#define LUT4_UNROLL 8
#define LUT4_PASS lut4_pass_c

#include "r2b_lut4_pass.h"

#include "r2b_lut4_driver.h"
