// SPDX-License-Identifier: MIT-0
//
// mpu.h: what harness.c forbids to a step, where a memory protection unit can.
#ifndef TEST_MPU_H
#define TEST_MPU_H

#include <stddef.h>
#include <stdint.h>

enum { TEST_GRAIN = 32 };  // bytes: what a region begins and ends at

void forbid_bytes(uint8_t *start, size_t bytes);  // but parts of a grain at either end
void allow_bytes(void);                           // all of them again

#endif  // TEST_MPU_H
