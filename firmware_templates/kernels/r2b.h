// SPDX-License-Identifier: MIT-0
//
// r2b.h: the runtime's interface. C11, usable from C++. No malloc, no mutable globals, no I/O.
//
// A model is a list of steps in execution order. Every tensor that a step reads or writes lies in one
// arena, which the caller gives; weights are const and stay where the linker puts them.
#ifndef R2B_H
#define R2B_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define R2B_RUNTIME_VERSION 1

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "r2b: bit maps are packed for little-endian machines"
#endif

// Where a linker script may place what this makes (docs/bring-up.md has one): the build defines the names of sections,
// as strings, for the library and for the firmware. Without, the compiler's own sections are used.
#ifdef R2B_WEIGHTS_SECTION  // the model's constants
#define R2B_WEIGHTS __attribute__((section(R2B_WEIGHTS_SECTION)))
#else
#define R2B_WEIGHTS
#endif
#ifdef R2B_HOT_CODE_SECTION  // the kernels
#define R2B_HOT_CODE __attribute__((section(R2B_HOT_CODE_SECTION)))
#else
#define R2B_HOT_CODE
#endif
#ifdef R2B_ARENA_SECTION  // the arena: its definition, in the firmware, says R2B_ARENA
#define R2B_ARENA __attribute__((section(R2B_ARENA_SECTION)))
#else
#define R2B_ARENA
#endif

typedef enum {
    R2B_OK = 0,
    R2B_ERROR_ARGUMENT = 1,   // a null pointer, or steps out of range
    R2B_ERROR_ALIGNMENT = 2,  // the arena is not aligned to the model's arena_alignment
} r2b_status;

typedef enum {
    R2B_FLOAT32 = 0,
    R2B_UINT8 = 1,
    R2B_BITS = 2,  // one bit a value: 0 stands for +1, 1 for -1 (as in Larq Compute Engine)
} r2b_dtype;

typedef enum {
    R2B_LAYOUT_NHWC = 0,     // shape {h, w, c}, c fastest; a vector is {1, 1, c}
    R2B_LAYOUT_BITS32 = 1,   // shape {h, w, c}: uint32_t [h][w][ceil(c / 32)], channel c in bit c % 32 of
                             // word c / 32; the bits beyond the last channel are 0
    R2B_LAYOUT_BITS128 = 2,  // shape {h, w, c}: uint32_t [h][ceil(c / 128)][w][4], channel c in bit c % 32 of word
                             // c / 32 % 4 of chunk c / 128; the bits beyond the last channel are 0. With up to 64
                             // channels words 2 and 3 repeat words 0 and 1, with up to 32 words 1 to 3 repeat word 0.
} r2b_layout;

// Where a tensor lies in the arena, and how.
typedef struct {
    uint32_t offset;  // bytes from the arena's start
    uint32_t bytes;
    uint8_t dtype;   // r2b_dtype
    uint8_t layout;  // r2b_layout
    uint32_t shape[3];
    float scale;  // real value = scale * (stored - zero_point); 1 and 0 for float32
    int32_t zero_point;
} r2b_tensor;

// One unit of parallel work: index counts from 0 to count - 1.
typedef void (*r2b_task)(void *context, uint32_t index);

// A parallel-for. `run` calls task(context, i) once for each i < count, in any order and on any thread, and
// returns when all are done. A null r2b_parallel runs everything on the calling thread; results are the same,
// bit by bit: the number of tasks is part of the model. A task does not call `run`, and needs `threads` for nothing.
typedef struct r2b_parallel {
    void *pool;
    uint32_t threads;
    void (*run)(void *pool, r2b_task task, void *context, uint32_t count);
} r2b_parallel;

// A step: one kernel call with its epilogue. The indices of the tensors it reads and writes allow to replay it
// alone, on given inputs, on the device itself.
typedef struct {
    void (*run)(uint8_t *arena, const r2b_parallel *parallel);
    const uint16_t *inputs;
    const uint16_t *outputs;
    uint8_t input_count;
    uint8_t output_count;
} r2b_step;

typedef struct {
    const r2b_tensor *tensors;
    const r2b_step *steps;
    const uint16_t *inputs;   // tensor indices of the model's inputs
    const uint16_t *outputs;  // and of its outputs
    uint32_t tensor_count;
    uint32_t step_count;
    uint32_t input_count;
    uint32_t output_count;
    uint32_t arena_bytes;
    uint32_t arena_alignment;
    uint8_t hash[16];  // of the program: the first 16 bytes of its SHA-256
} r2b_model;

// The caller's buffers, one pointer for each input and output in the model's order, in the layout of their tensors.
// A null input pointer says that the data already lies in the arena at the tensor's offset (no copy is made); a null
// output pointer leaves the result there. The arena's input bytes are overwritten by later steps.
typedef struct {
    const void *const *inputs;
    void *const *outputs;
} r2b_io;

// Runs the whole model. `arena` holds model->arena_bytes bytes, aligned to model->arena_alignment.
r2b_status r2b_run(const r2b_model *model, const r2b_io *io, void *arena, const r2b_parallel *parallel);

// Runs the steps first..last, both included, on what lies in the arena.
r2b_status r2b_run_steps(const r2b_model *model, void *arena, uint32_t first, uint32_t last,
                         const r2b_parallel *parallel);

#ifdef __cplusplus
}
#endif

#endif  // R2B_H
