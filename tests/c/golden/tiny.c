// SPDX-License-Identifier: MIT-0
//
// tiny.c: the network, one function a step. Generated; changes belong into the model or the generator.
// tool: r2b-edge 0
// model sha256: 0123
// target: host
// options: none
#include "tiny.h"

#include <math.h>

#include "tiny_weights.h"
#include "r2b_kernels.h"

// node floatconv: FloatConv 3x3 stride 1x1, 4x4x3 -> 4x4x2
static void step0(uint8_t *arena, const r2b_parallel *parallel) {
    static const r2b_tile_op ops[] = {
        {.kind = R2B_TILE_CLIP, .low = 0.0f, .high = INFINITY},  // node clip
        {.kind = R2B_TILE_STORE, .at = 192},  // clip
    };
    static const r2b_epilogue epilogue = {ops, 2, 16, 2, 0, 0, 0, 0};
    static const r2b_fconv layer = {
        .window = {
            .in_height = 4, .in_width = 4, .in_channels = 3, .out_height = 4, .out_width = 4, .out_channels = 2,
            .kernel_y = 3, .kernel_x = 3, .stride_y = 1, .stride_x = 1, .dilation_y = 1, .dilation_x = 1,
            .pad_top = 1, .pad_left = 1,
        },
        .groups = 1,
        .weights = r2b_tiny_step0_weights,
        .bias = r2b_tiny_step0_bias,
        .input = 0,
        .work = 320,
    };
    r2b_fconv_portable(&layer, &epilogue, arena, parallel);
}

// node maxpool: MaxPool 2x2 stride 2x2, 4x4x2 -> 2x2x2
static void step1(uint8_t *arena, const r2b_parallel *parallel) {
    static const r2b_tile_op ops[] = {
        {.kind = R2B_TILE_STORE, .at = 192},  // maxpool
        {.kind = R2B_TILE_MEAN, .at = 0, .work = 32},  // node globalavgpool
        {.kind = R2B_TILE_BITS, .a = r2b_tiny_step1_tile2_a, .flip = r2b_tiny_step1_tile2_flip, .at = 64},  // node step
    };
    static const r2b_epilogue epilogue = {ops, 3, 4, 2, 0, 0, 0, 0};
    static const r2b_pool layer = {
        .window = {
            .in_height = 4, .in_width = 4, .in_channels = 2, .out_height = 2, .out_width = 2, .out_channels = 2,
            .kernel_y = 2, .kernel_x = 2, .stride_y = 2, .stride_x = 2, .dilation_y = 1, .dilation_x = 1,
            .pad_top = 0, .pad_left = 0,
        },
        .count_pad = 0,
        .input = 192,
        .work = 16,
    };
    r2b_maxpool_portable(&layer, &epilogue, arena, parallel);
}

// node dense: Dense, 2 -> 4
static void step2(uint8_t *arena, const r2b_parallel *parallel) {
    static const r2b_tile_op ops[] = {
        {.kind = R2B_TILE_CLIP, .low = 0.0f, .high = INFINITY},  // node clip_1
        {.kind = R2B_TILE_STORE, .at = 16},  // clip_1
    };
    static const r2b_epilogue epilogue = {ops, 2, 1, 4, 0, 0, 0, 0};
    static const r2b_dense layer = {
        .in_channels = 2,
        .out_channels = 4,
        .weights = r2b_tiny_step2_weights,
        .bias = r2b_tiny_step2_bias,
        .input = 0,
        .work = 32,
    };
    r2b_dense_portable(&layer, &epilogue, arena, parallel);
}

// node dense_1: Dense, 4 -> 2
static void step3(uint8_t *arena, const r2b_parallel *parallel) {
    static const r2b_tile_op ops[] = {
        {.kind = R2B_TILE_SIGMOID},  // node sigmoid
        {.kind = R2B_TILE_STORE, .at = 80},  // sigmoid
    };
    static const r2b_epilogue epilogue = {ops, 2, 1, 2, 0, 0, 0, 0};
    static const r2b_dense layer = {
        .in_channels = 4,
        .out_channels = 2,
        .weights = r2b_tiny_step3_weights,
        .bias = r2b_tiny_step3_bias,
        .input = 16,
        .work = 0,
    };
    r2b_dense_portable(&layer, &epilogue, arena, parallel);
}

// node binaryconv: BinaryConv 3x3 stride 1x1, 2x2x2 -> 2x2x2
static void step4(uint8_t *arena, const r2b_parallel *parallel) {
    static const r2b_tile_op ops[] = {
        {.kind = R2B_TILE_AFFINE, .a = r2b_tiny_step4_tile0_a, .b = r2b_tiny_step4_tile0_b},  // node channelaffine
        {.kind = R2B_TILE_MUL_VECTOR, .at = 80},  // node mul
        {.kind = R2B_TILE_PRELU, .a = r2b_tiny_step4_tile2_a},  // node prelu
        {.kind = R2B_TILE_ADD_MAP, .at = 192},  // node add
        {.kind = R2B_TILE_STORE, .at = 192},  // add
        {.kind = R2B_TILE_MEAN, .at = 96, .work = 128},  // node globalavgpool_1
        {.kind = R2B_TILE_BITS, .a = r2b_tiny_step4_tile6_a, .at = 112},  // node step_1
    };
    static const r2b_epilogue epilogue = {ops, 7, 4, 2, 0, 0, 0, 0};
    static const r2b_bconv layer = {
        .window = {
            .in_height = 2, .in_width = 2, .in_channels = 2, .out_height = 2, .out_width = 2, .out_channels = 2,
            .kernel_y = 3, .kernel_x = 3, .stride_y = 1, .stride_x = 1, .dilation_y = 1, .dilation_x = 1,
            .pad_top = 1, .pad_left = 1,
        },
        .groups = 1,
        .pad_value = 0,
        .weights = r2b_tiny_step4_weights,
        .input = 64,
        .work = 0,
    };
    r2b_bconv_portable(&layer, &epilogue, arena, parallel);
}

// node avgpool: AvgPool 2x2 stride 2x2, 2x2x2 -> 1x1x2
static void step5(uint8_t *arena, const r2b_parallel *parallel) {
    static const r2b_tile_op ops[] = {
        {.kind = R2B_TILE_STORE, .at = 192},  // avgpool
    };
    static const r2b_epilogue epilogue = {ops, 1, 1, 2, 0, 0, 0, 0};
    static const r2b_pool layer = {
        .window = {
            .in_height = 2, .in_width = 2, .in_channels = 2, .out_height = 1, .out_width = 1, .out_channels = 2,
            .kernel_y = 2, .kernel_x = 2, .stride_y = 2, .stride_x = 2, .dilation_y = 1, .dilation_x = 1,
            .pad_top = 0, .pad_left = 0,
        },
        .count_pad = 0,
        .input = 192,
        .work = 0,
    };
    r2b_avgpool_portable(&layer, &epilogue, arena, parallel);
}

// node floatconv_1: FloatConv 1x1 stride 1x1, 1x1x2 -> 1x1x4
static void step6(uint8_t *arena, const r2b_parallel *parallel) {
    static const r2b_tile_op ops[] = {
        {.kind = R2B_TILE_STORE, .at = 64},  // floatconv_1
    };
    static const r2b_epilogue epilogue = {ops, 1, 1, 4, 0, 0, 0, 0};
    static const r2b_fconv layer = {
        .window = {
            .in_height = 1, .in_width = 1, .in_channels = 2, .out_height = 1, .out_width = 1, .out_channels = 4,
            .kernel_y = 1, .kernel_x = 1, .stride_y = 1, .stride_x = 1, .dilation_y = 1, .dilation_x = 1,
            .pad_top = 0, .pad_left = 0,
        },
        .groups = 1,
        .weights = r2b_tiny_step6_weights,
        .bias = r2b_tiny_step6_bias,
        .input = 192,
        .work = 0,
    };
    r2b_fconv_portable(&layer, &epilogue, arena, parallel);
}

// node dense_2: Dense, 2 -> 4
static void step7(uint8_t *arena, const r2b_parallel *parallel) {
    static const r2b_tile_op ops[] = {
        {.kind = R2B_TILE_CLIP, .low = 0.0f, .high = INFINITY},  // node clip_2
        {.kind = R2B_TILE_STORE, .at = 0},  // clip_2
    };
    static const r2b_epilogue epilogue = {ops, 2, 1, 4, 0, 0, 0, 0};
    static const r2b_dense layer = {
        .in_channels = 2,
        .out_channels = 4,
        .weights = r2b_tiny_step7_weights,
        .bias = r2b_tiny_step7_bias,
        .input = 96,
        .work = 16,
    };
    r2b_dense_portable(&layer, &epilogue, arena, parallel);
}

// node dense_3: Dense, 4 -> 4
static void step8(uint8_t *arena, const r2b_parallel *parallel) {
    static const r2b_tile_op ops[] = {
        {.kind = R2B_TILE_SIGMOID},  // node sigmoid_1
        {.kind = R2B_TILE_STORE, .at = 80},  // sigmoid_1
    };
    static const r2b_epilogue epilogue = {ops, 2, 1, 4, 0, 0, 0, 0};
    static const r2b_dense layer = {
        .in_channels = 4,
        .out_channels = 4,
        .weights = r2b_tiny_step8_weights,
        .bias = r2b_tiny_step8_bias,
        .input = 0,
        .work = 16,
    };
    r2b_dense_portable(&layer, &epilogue, arena, parallel);
}

// node binaryconv_1: BinaryConv 3x3 stride 2x2, 2x2x2 -> 1x1x4
static void step9(uint8_t *arena, const r2b_parallel *parallel) {
    static const r2b_tile_op ops[] = {
        {.kind = R2B_TILE_AFFINE, .a = r2b_tiny_step9_tile0_a, .b = r2b_tiny_step9_tile0_b},  // node channelaffine_1
        {.kind = R2B_TILE_MUL_VECTOR, .at = 80},  // node mul_1
        {.kind = R2B_TILE_PRELU, .a = r2b_tiny_step9_tile2_a},  // node prelu_1
        {.kind = R2B_TILE_ADD_MAP, .at = 64},  // node add_1
        {.kind = R2B_TILE_MEAN, .at = 96, .work = 128},  // node globalavgpool_2
    };
    static const r2b_epilogue epilogue = {ops, 5, 1, 4, 0, 0, 0, 0};
    static const r2b_bconv layer = {
        .window = {
            .in_height = 2, .in_width = 2, .in_channels = 2, .out_height = 1, .out_width = 1, .out_channels = 4,
            .kernel_y = 3, .kernel_x = 3, .stride_y = 2, .stride_x = 2, .dilation_y = 1, .dilation_x = 1,
            .pad_top = 1, .pad_left = 1,
        },
        .groups = 1,
        .pad_value = 0,
        .weights = r2b_tiny_step9_weights,
        .input = 112,
        .work = 0,
    };
    r2b_bconv_portable(&layer, &epilogue, arena, parallel);
}

// node dense_4: Dense, 4 -> 10
static void step10(uint8_t *arena, const r2b_parallel *parallel) {
    static const r2b_tile_op ops[] = {
        {.kind = R2B_TILE_STORE, .at = 0},  // dense_4
    };
    static const r2b_epilogue epilogue = {ops, 1, 1, 10, 0, 0, 0, 0};
    static const r2b_dense layer = {
        .in_channels = 4,
        .out_channels = 10,
        .weights = r2b_tiny_step10_weights,
        .bias = r2b_tiny_step10_bias,
        .input = 96,
        .work = 48,
    };
    r2b_dense_portable(&layer, &epilogue, arena, parallel);
}

static const r2b_tensor tensors[] = {
    {0, 192, R2B_FLOAT32, R2B_LAYOUT_NHWC, {4, 4, 3}, 1.0f, 0},  // 0: input
    {192, 128, R2B_FLOAT32, R2B_LAYOUT_NHWC, {4, 4, 2}, 1.0f, 0},  // 1: clip
    {192, 32, R2B_FLOAT32, R2B_LAYOUT_NHWC, {2, 2, 2}, 1.0f, 0},  // 2: maxpool
    {0, 8, R2B_FLOAT32, R2B_LAYOUT_NHWC, {1, 1, 2}, 1.0f, 0},  // 3: globalavgpool
    {64, 16, R2B_BITS, R2B_LAYOUT_BITS32, {2, 2, 2}, 1.0f, 0},  // 4: step
    {16, 16, R2B_FLOAT32, R2B_LAYOUT_NHWC, {1, 1, 4}, 1.0f, 0},  // 5: clip_1
    {80, 8, R2B_FLOAT32, R2B_LAYOUT_NHWC, {1, 1, 2}, 1.0f, 0},  // 6: sigmoid
    {192, 32, R2B_FLOAT32, R2B_LAYOUT_NHWC, {2, 2, 2}, 1.0f, 0},  // 7: add
    {96, 8, R2B_FLOAT32, R2B_LAYOUT_NHWC, {1, 1, 2}, 1.0f, 0},  // 8: globalavgpool_1
    {112, 16, R2B_BITS, R2B_LAYOUT_BITS32, {2, 2, 2}, 1.0f, 0},  // 9: step_1
    {192, 8, R2B_FLOAT32, R2B_LAYOUT_NHWC, {1, 1, 2}, 1.0f, 0},  // 10: avgpool
    {64, 16, R2B_FLOAT32, R2B_LAYOUT_NHWC, {1, 1, 4}, 1.0f, 0},  // 11: floatconv_1
    {0, 16, R2B_FLOAT32, R2B_LAYOUT_NHWC, {1, 1, 4}, 1.0f, 0},  // 12: clip_2
    {80, 16, R2B_FLOAT32, R2B_LAYOUT_NHWC, {1, 1, 4}, 1.0f, 0},  // 13: sigmoid_1
    {96, 16, R2B_FLOAT32, R2B_LAYOUT_NHWC, {1, 1, 4}, 1.0f, 0},  // 14: globalavgpool_2
    {0, 40, R2B_FLOAT32, R2B_LAYOUT_NHWC, {1, 1, 10}, 1.0f, 0},  // 15: dense_4
};

static const uint16_t inputs0[] = {0};
static const uint16_t outputs0[] = {1};
static const uint16_t inputs1[] = {1};
static const uint16_t outputs1[] = {2, 3, 4};
static const uint16_t inputs2[] = {3};
static const uint16_t outputs2[] = {5};
static const uint16_t inputs3[] = {5};
static const uint16_t outputs3[] = {6};
static const uint16_t inputs4[] = {4, 6, 2};
static const uint16_t outputs4[] = {7, 8, 9};
static const uint16_t inputs5[] = {7};
static const uint16_t outputs5[] = {10};
static const uint16_t inputs6[] = {10};
static const uint16_t outputs6[] = {11};
static const uint16_t inputs7[] = {8};
static const uint16_t outputs7[] = {12};
static const uint16_t inputs8[] = {12};
static const uint16_t outputs8[] = {13};
static const uint16_t inputs9[] = {9, 13, 11};
static const uint16_t outputs9[] = {14};
static const uint16_t inputs10[] = {14};
static const uint16_t outputs10[] = {15};

static const r2b_step steps[] = {
    {step0, inputs0, outputs0, 1, 1},
    {step1, inputs1, outputs1, 1, 3},
    {step2, inputs2, outputs2, 1, 1},
    {step3, inputs3, outputs3, 1, 1},
    {step4, inputs4, outputs4, 3, 3},
    {step5, inputs5, outputs5, 1, 1},
    {step6, inputs6, outputs6, 1, 1},
    {step7, inputs7, outputs7, 1, 1},
    {step8, inputs8, outputs8, 1, 1},
    {step9, inputs9, outputs9, 3, 1},
    {step10, inputs10, outputs10, 1, 1},
};

static const uint16_t model_inputs[] = {0};
static const uint16_t model_outputs[] = {15};

const r2b_model r2b_tiny_model = {
    .tensors = tensors,
    .steps = steps,
    .inputs = model_inputs,
    .outputs = model_outputs,
    .tensor_count = 16,
    .step_count = 11,
    .input_count = 1,
    .output_count = 1,
    .arena_bytes = R2B_TINY_ARENA_BYTES,
    .arena_alignment = R2B_TINY_ARENA_ALIGNMENT,
    .hash = {0x32, 0x1c, 0x64, 0x98, 0xba, 0x8c, 0x5a, 0x86, 0x50, 0x23, 0x28, 0xbf, 0x5f, 0x2b, 0x3b, 0xc7},
};

r2b_status r2b_tiny_run(const r2b_io *io, void *arena, const r2b_parallel *parallel) {
    return r2b_run(&r2b_tiny_model, io, arena, parallel);
}

r2b_status r2b_tiny_run_steps(void *arena, uint32_t first, uint32_t last, const r2b_parallel *parallel) {
    return r2b_run_steps(&r2b_tiny_model, arena, first, last, parallel);
}
