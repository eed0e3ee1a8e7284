// SPDX-License-Identifier: MIT-0
//
// runner.c: serves one model over a byte stream, so that a host can replay and time its steps.
//
// A frame, both ways, little-endian:
//   magic "R2B\xA5" | version u8 | op u8 | code u16 | tag u32 | a u32 | b u32 | length u32 | header CRC-32 u32
//   | payload, `length` bytes | payload CRC-32 u32
// The header's CRC covers the 24 bytes before it. A receiver slides over the stream until a magic with
// a fitting CRC turns up, so noise between frames is skipped. `code` holds flags in a request and a
// status in a reply; a reply's op has bit 7 set, and it repeats tag, a and b: by the tag, which is the
// host's to choose, a late reply is known from the one that is waited for. A line that falls silent
// within a frame has lost a part of it (see port.h): a frame whose header came is answered as damaged.
//
//   op 1 INFO                  -> model (below)
//   op 2 LOAD  a = tensor, payload = its bytes   -> nothing
//   op 3 RUN   a = first step, b = last, both included -> unit u32 (r2b_unit in port.h) and, unless that is
//              R2B_UNIT_NONE, a count u64 a step; with flag 1 (MARK) nothing: r2b_marker is called twice
//              before the first step and once after each, nothing is counted
//   op 4 READ  a = tensor      -> its bytes
//   op 5 STACK                 -> u64 bytes of stack of one r2b_run on one thread; what lies in the arena is lost
//   op 6 QUIT                  -> nothing, and the program ends
//   op 7 FILL  a = a byte      -> nothing; every byte of the arena holds it
//   op 8 THREADS a = 1 to 256  -> nothing; RUN uses so many from now on, 1 before
#include "r2b.h"

#include R2B_MODEL_HEADER

#include <string.h>

#include "port.h"

enum {
    VERSION = 2,
    HEADER_BYTES = 28,
    HEADER_CHECKED = 24,
    REPLY = 0x80,
    FLAG_MARK = 1,
    UNIT_BYTES = 4,
    MOST_THREADS = 256
};
enum { OP_INFO = 1, OP_LOAD, OP_RUN, OP_READ, OP_STACK, OP_QUIT, OP_FILL, OP_THREADS };
enum status {
    STATUS_OK = 0,
    STATUS_VERSION = 1,      // the request has another protocol version; the reply's header tells ours
    STATUS_OP = 2,           // unknown op or flag
    STATUS_INDEX = 3,        // no such tensor, step or byte, or not so many threads
    STATUS_LENGTH = 4,       // the payload has not the length that the op asks for
    STATUS_CRC = 5,          // the payload is damaged, or a part of it never came
    STATUS_UNSUPPORTED = 6,  // this build cannot do it
    STATUS_MODEL = 0x100,    // 0x100 + r2b_status
};

typedef struct {
    uint8_t version;
    uint8_t op;
    uint16_t code;
    uint32_t tag;
    uint32_t a;
    uint32_t b;
    uint32_t length;
} header;

static const r2b_model *const model = &R2B_MODEL;
static const uint8_t magic[4] = {'R', '2', 'B', 0xA5};
static r2b_unit unit;

// An instruction counter in the emulator looks for executions of this address.
void r2b_marker(void);
__attribute__((noinline)) void r2b_marker(void) {
    __asm__ volatile("" ::: "memory");
}

// CRC-32 (IEEE 802.3, reflected, as zlib's), one nibble at a time: 64 bytes of table. Start with 0.
static uint32_t crc32(uint32_t crc, const uint8_t *data, size_t bytes) {
    static const uint32_t table[16] = {
        0x00000000, 0x1DB71064, 0x3B6E20C8, 0x26D930AC, 0x76DC4190, 0x6B6B51F4, 0x4DB26158, 0x5005713C,
        0xEDB88320, 0xF00F9344, 0xD6D6A3E8, 0xCB61B38C, 0x9B64C2B0, 0x86D3D2D4, 0xA00AE278, 0xBDBDF21C,
    };
    crc = ~crc;
    for (size_t i = 0; i < bytes; i++) {
        crc ^= data[i];
        crc = (crc >> 4) ^ table[crc & 15];
        crc = (crc >> 4) ^ table[crc & 15];
    }
    return ~crc;
}

static void put32(uint8_t *at, uint32_t value) {
    for (int i = 0; i < 4; i++) at[i] = (uint8_t)(value >> (8 * i));
}

static uint32_t get32(const uint8_t *at) {
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

// What has a buffer is not inlined: its stack would lie below that of the model's run.
#define APART __attribute__((noinline))

// Finds the next header, whatever noise lies before it; false at the end of the stream.
APART static bool read_header(header *h) {
    uint8_t bytes[HEADER_BYTES];
    size_t have = 0;
    while (have < sizeof bytes) {
        const r2b_line line = r2b_port_read(bytes + have, have == 0 ? 1 : sizeof bytes - have, have > 0);
        if (line == R2B_LINE_ENDED) return false;
        have = line == R2B_LINE_SILENT ? 0 : have == 0 ? 1 : sizeof bytes;
        if (have == sizeof bytes && (memcmp(bytes, magic, sizeof magic) != 0 ||
                                     crc32(0, bytes, HEADER_CHECKED) != get32(bytes + HEADER_CHECKED))) {
            memmove(bytes, bytes + 1, --have);
        }
    }
    h->version = bytes[4];
    h->op = bytes[5];
    h->code = (uint16_t)(bytes[6] | bytes[7] << 8);
    h->tag = get32(bytes + 8);
    h->a = get32(bytes + 12);
    h->b = get32(bytes + 16);
    h->length = get32(bytes + 20);
    return true;
}

// Reads the payload into `data`, or drops it where `data` is null; `intact` tells whether all of it came and its CRC
// fits. The CRC keeps pace: a line that has no buffer loses what comes while nobody reads.
APART static bool read_payload(uint8_t *data, uint32_t length, bool *intact) {
    uint8_t scratch[64];
    uint32_t crc = 0;
    *intact = false;
    while (length > 0) {
        const uint32_t most = data != NULL || r2b_port_part < sizeof scratch ? r2b_port_part : (uint32_t)sizeof scratch;
        const uint32_t part = length < most ? length : most;
        uint8_t *const to = data != NULL ? data : scratch;
        const r2b_line line = r2b_port_read(to, part, true);
        if (line != R2B_LINE_READ) return line == R2B_LINE_SILENT;
        crc = crc32(crc, to, part);
        length -= part;
        if (data != NULL) data += part;
    }
    const r2b_line line = r2b_port_read(scratch, 4, true);
    *intact = line == R2B_LINE_READ && crc == get32(scratch);
    return line != R2B_LINE_ENDED;
}

// Sends a reply; `payload` may be null where `length` is 0.
APART static bool reply(const header *request, enum status status, const void *payload, uint32_t length) {
    uint8_t head[HEADER_BYTES] = {0};
    uint8_t tail[4];
    memcpy(head, magic, sizeof magic);
    head[4] = VERSION;
    head[5] = request->op | REPLY;
    head[6] = (uint8_t)status;
    head[7] = (uint8_t)((unsigned)status >> 8);
    put32(head + 8, request->tag);
    put32(head + 12, request->a);
    put32(head + 16, request->b);
    put32(head + 20, length);
    put32(head + HEADER_CHECKED, crc32(0, head, HEADER_CHECKED));
    put32(tail, length > 0 ? crc32(0, payload, length) : 0);
    return r2b_port_write(head, sizeof head) && (length == 0 || r2b_port_write(payload, length)) &&
           r2b_port_write(tail, sizeof tail);
}

static bool refuse(const header *request, enum status status) {
    return reply(request, status, NULL, 0);
}

// hash 16 bytes | runtime version, arena bytes, arena alignment, step, tensor, input and output count u32
// | the inputs', then the outputs' tensor indices u32 | bytes of each tensor u32
enum { INFO_FIXED = 16 + 7 * 4 };

static uint32_t info_bytes(void) {
    return INFO_FIXED + 4 * (model->input_count + model->output_count + model->tensor_count);
}

static void fill_info(uint8_t *at) {
    const uint32_t fixed[7] = {R2B_RUNTIME_VERSION, model->arena_bytes, model->arena_alignment, model->step_count,
                               model->tensor_count, model->input_count, model->output_count};
    memcpy(at, model->hash, 16);
    at += 16;
    for (int i = 0; i < 7; i++, at += 4) put32(at, fixed[i]);
    for (uint32_t i = 0; i < model->input_count; i++, at += 4) put32(at, model->inputs[i]);
    for (uint32_t i = 0; i < model->output_count; i++, at += 4) put32(at, model->outputs[i]);
    for (uint32_t i = 0; i < model->tensor_count; i++, at += 4) put32(at, model->tensors[i].bytes);
}

typedef struct {
    uint8_t *arena;
    uint8_t *scratch;   // room for the answer of INFO or of RUN
    void **no_buffers;  // null pointers, as many as there are inputs or outputs
    const r2b_parallel *parallel;
    r2b_status status;  // of the last whole run
} server;

static void run_whole(void *context) {
    server *const s = context;
    const r2b_io in_place = {(const void *const *)s->no_buffers, s->no_buffers};
    s->status = r2b_run(model, &in_place, s->arena, NULL);
}

static bool run_steps(server *s, const header *h) {
    const bool mark = (h->code & FLAG_MARK) != 0;
    const bool count = !mark && unit != R2B_UNIT_NONE;
    uint8_t *at = s->scratch + UNIT_BYTES;
    if (h->a > h->b || h->b >= model->step_count) return refuse(h, STATUS_INDEX);
    if (mark) {
        r2b_marker();
        r2b_marker();  // the count between these two is what a marker itself costs
    }
    for (uint32_t i = h->a; i <= h->b; i++) {
        if (count) r2b_port_count_start();
        const r2b_status status = r2b_run_steps(model, s->arena, i, i, s->parallel);
        if (mark) r2b_marker();
        if (count) {
            const uint64_t counted = r2b_port_count_stop();
            put32(at, (uint32_t)counted);
            put32(at + 4, (uint32_t)(counted >> 32));
            at += 8;
        }
        if (status != R2B_OK) return refuse(h, (enum status)(STATUS_MODEL + (int)status));
    }
    put32(s->scratch, (uint32_t)unit);
    return reply(h, STATUS_OK, s->scratch, mark ? 0 : (uint32_t)(at - s->scratch));
}

static bool measure_stack(server *s, const header *h) {
    uint8_t bytes[8];
    const uint64_t depth = r2b_port_stack(run_whole, s);
    if (depth == 0) return refuse(h, STATUS_UNSUPPORTED);
    if (s->status != R2B_OK) return refuse(h, (enum status)(STATUS_MODEL + (int)s->status));
    put32(bytes, (uint32_t)depth);
    put32(bytes + 4, (uint32_t)(depth >> 32));
    return reply(h, STATUS_OK, bytes, sizeof bytes);
}

// Answers one request; false when the stream has ended or the host has asked to quit.
static bool serve(server *s) {
    header h;
    bool intact = false;
    if (!read_header(&h)) return false;

    const bool known = h.version == VERSION;
    const bool load = known && h.op == OP_LOAD;
    const bool tensor = h.a < model->tensor_count;
    const uint32_t expected = load && tensor ? model->tensors[h.a].bytes : 0;
    const bool fits = h.length == expected;
    uint8_t *const to = load && tensor && fits ? s->arena + model->tensors[h.a].offset : NULL;
    if (!read_payload(to, h.length, &intact)) return false;

    if (!known) return refuse(&h, STATUS_VERSION);
    if (!intact) return refuse(&h, STATUS_CRC);
    if ((h.op == OP_LOAD || h.op == OP_READ) && !tensor) return refuse(&h, STATUS_INDEX);
    if (!fits) return refuse(&h, STATUS_LENGTH);
    if (h.code != 0 && !(h.op == OP_RUN && h.code == FLAG_MARK)) return refuse(&h, STATUS_OP);
    if (h.op == OP_THREADS && (h.a == 0 || h.a > MOST_THREADS)) return refuse(&h, STATUS_INDEX);
    if (h.op == OP_FILL && h.a > UINT8_MAX) return refuse(&h, STATUS_INDEX);
    switch (h.op) {
        case OP_INFO:
            fill_info(s->scratch);
            return reply(&h, STATUS_OK, s->scratch, info_bytes());
        case OP_LOAD:
            return reply(&h, STATUS_OK, NULL, 0);
        case OP_RUN:
            return run_steps(s, &h);
        case OP_READ:
            return reply(&h, STATUS_OK, s->arena + model->tensors[h.a].offset, model->tensors[h.a].bytes);
        case OP_STACK:
            return measure_stack(s, &h);
        case OP_QUIT:
            (void)reply(&h, STATUS_OK, NULL, 0);
            return false;
        case OP_FILL:
            memset(s->arena, (int)h.a, model->arena_bytes);
            return reply(&h, STATUS_OK, NULL, 0);
        case OP_THREADS:
            return reply(&h, r2b_port_threads(h.a, &s->parallel) ? STATUS_OK : STATUS_UNSUPPORTED, NULL, 0);
        default:
            return refuse(&h, STATUS_OP);
    }
}

int main(void) {
    const size_t times = UNIT_BYTES + 8 * (size_t)model->step_count;
    const size_t info = info_bytes();
    const size_t most = model->input_count > model->output_count ? model->input_count : model->output_count;
    static server s;
    s = (server){
        .arena = r2b_port_buffer(model->arena_bytes, model->arena_alignment),
        .scratch = r2b_port_buffer(times > info ? times : info, 1),
        .no_buffers = r2b_port_buffer(sizeof(void *) * most, sizeof(void *)),
    };
    if (s.arena == NULL || s.scratch == NULL || s.no_buffers == NULL) return 1;
    unit = r2b_port_unit();
    while (serve(&s)) {
    }
    return 0;
}
