// SPDX-License-Identifier: MIT-0
//
// tiny_weights.h: the constants of tiny.c. Generated; changes belong into the model or the generator.
// tool: r2b-edge 0
// model sha256: 0123
// target: host
// options: none
#ifndef R2B_TINY_WEIGHTS_H
#define R2B_TINY_WEIGHTS_H

#include "r2b.h"

extern R2B_WEIGHTS const float r2b_tiny_step0_weights[54];
extern R2B_WEIGHTS const float r2b_tiny_step0_bias[2];
extern R2B_WEIGHTS const float r2b_tiny_step1_tile2_a[2];
extern R2B_WEIGHTS const uint32_t r2b_tiny_step1_tile2_flip[1];
extern R2B_WEIGHTS const float r2b_tiny_step2_weights[8];
extern R2B_WEIGHTS const float r2b_tiny_step2_bias[4];
extern R2B_WEIGHTS const float r2b_tiny_step3_weights[8];
extern R2B_WEIGHTS const float r2b_tiny_step3_bias[2];
extern R2B_WEIGHTS const uint32_t r2b_tiny_step4_weights[18];
extern R2B_WEIGHTS const float r2b_tiny_step4_tile0_a[2];
extern R2B_WEIGHTS const float r2b_tiny_step4_tile0_b[2];
extern R2B_WEIGHTS const float r2b_tiny_step4_tile2_a[2];
extern R2B_WEIGHTS const float r2b_tiny_step4_tile6_a[2];
extern R2B_WEIGHTS const float r2b_tiny_step6_weights[8];
extern R2B_WEIGHTS const float r2b_tiny_step6_bias[4];
extern R2B_WEIGHTS const float r2b_tiny_step7_weights[8];
extern R2B_WEIGHTS const float r2b_tiny_step7_bias[4];
extern R2B_WEIGHTS const float r2b_tiny_step8_weights[16];
extern R2B_WEIGHTS const float r2b_tiny_step8_bias[4];
extern R2B_WEIGHTS const uint32_t r2b_tiny_step9_weights[36];
extern R2B_WEIGHTS const float r2b_tiny_step9_tile0_a[4];
extern R2B_WEIGHTS const float r2b_tiny_step9_tile0_b[4];
extern R2B_WEIGHTS const float r2b_tiny_step9_tile2_a[4];
extern R2B_WEIGHTS const float r2b_tiny_step10_weights[40];
extern R2B_WEIGHTS const float r2b_tiny_step10_bias[10];

#endif  // R2B_TINY_WEIGHTS_H
