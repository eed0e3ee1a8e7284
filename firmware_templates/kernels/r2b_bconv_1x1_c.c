// SPDX-License-Identifier: MIT-0
//
// r2b_bconv_1x1_c.c: signs of 1x1 binary convolutions in plain C; see r2b_bconv_1x1.h.
#define R2B_1X1_KERNEL r2b_bconv_1x1_c

#include "r2b_bconv_1x1.h"
