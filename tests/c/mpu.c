// SPDX-License-Identifier: MIT-0
//
// Forbids bytes to a test program on an Armv8-M core, by its memory protection unit (Armv8-M Architecture Reference
// Manual, B11): one region is all of the RAM, each forbidden part is another, and an access where two regions overlap
// is a fault. Everything else keeps the default map of the memory.
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "mpu.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define MPU_TYPE REGISTER(0xE000ED90u)
#define MPU_CTRL REGISTER(0xE000ED94u)
#define MPU_RNR REGISTER(0xE000ED98u)
#define MPU_RBAR REGISTER(0xE000ED9Cu)
#define MPU_RLAR REGISTER(0xE000EDA0u)

enum { ENABLE = 1, DEFAULT_MAP = 4, ANY_ACCESS = 1 << 1 };

extern uint8_t ram[];  // of the linker script
enum { RAM_BYTES = 16 << 20 };

static uint32_t used;  // regions

static void add(const uint8_t *start, size_t bytes) {
    if (used == (MPU_TYPE >> 8 & 255u)) abort();
    MPU_RNR = used++;
    MPU_RBAR = (uint32_t)(uintptr_t)start | ANY_ACCESS;
    MPU_RLAR = ((uint32_t)(uintptr_t)(start + bytes) - TEST_GRAIN) | ENABLE;
}

void allow_bytes(void) {
    MPU_CTRL = 0;
    while (used > 0) {
        MPU_RNR = --used;
        MPU_RLAR = 0;
    }
    __asm__ volatile("dsb\n\tisb" ::: "memory");
}

void forbid_bytes(uint8_t *start, size_t bytes) {
    uint8_t *const from = start + (TEST_GRAIN - (uintptr_t)start % TEST_GRAIN) % TEST_GRAIN;
    uint8_t *const to = start + bytes - (uintptr_t)(start + bytes) % TEST_GRAIN;
    if (to <= from) return;
    if (used == 0) add(ram, RAM_BYTES);
    add(from, (size_t)(to - from));
    MPU_CTRL = ENABLE | DEFAULT_MAP;
    __asm__ volatile("dsb\n\tisb" ::: "memory");
}
