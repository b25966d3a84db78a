/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * How vLLM-Ascend chooses a method, revision by revision:
 * sim/scenario/ascend.def.
 *
 * Pure functions of numbers that all ranks have alike. The tokens are the
 * largest count of any dp rank, as the ranks agree on it before they choose:
 * by its own count a rank might choose otherwise than the others, and hang.
 */
#ifndef SIM_SCENARIO_ASCEND_H
#define SIM_SCENARIO_ASCEND_H

#include <stdbool.h>
#include <stdint.h>

typedef enum {
#define MOE_ASCEND(id, date, change, capacity, rule, source, text)             \
    MOE_ASCEND_##id,
#include "sim/scenario/ascend.def"
#undef MOE_ASCEND
    MOE_ASCEND_COUNT
} moe_ascend_t;

typedef enum {
#define MOE_ASCEND_METHOD(id, method) MOE_ASCEND_TAKES_##id,
#include "sim/scenario/ascend_method.def"
#undef MOE_ASCEND_METHOD
    MOE_ASCEND_TAKES_COUNT
} moe_ascend_takes_t;

typedef enum {
#define MOE_ASCEND_DEVICE(id, word, chip) MOE_ASCEND_ON_##id,
#include "sim/scenario/ascend_device.def"
#undef MOE_ASCEND_DEVICE
    MOE_ASCEND_ON_COUNT
} moe_ascend_on_t;

typedef enum {
    MOE_ASCEND_QUANT_none,
    MOE_ASCEND_QUANT_w8a8_dynamic,
    MOE_ASCEND_QUANT_w4a8_dynamic
} moe_ascend_quant_t;

typedef enum {
    MOE_ASCEND_FUSED_off,
    MOE_ASCEND_FUSED_on,
    MOE_ASCEND_FUSED_mega
} moe_ascend_fused_t;

/** What a rule asks of the serving system: keys of `select`. The numbers of
 * words are ints, for the table of keys. */
typedef struct {
    int device; /* moe_ascend_on_t */
    int64_t graph_tokens;
    int quantization; /* moe_ascend_quant_t */
    int fused_mc2;    /* moe_ascend_fused_t */
    bool lora;
    bool dynamic_eplb;
    bool mtp;
    bool dummy_run;
} moe_ascend_settings_t;

/** All that a rule looks at. */
typedef struct {
    int64_t tokens; /* most of a dp rank: agreed */
    int dp;
    int tp;
    int ep;
    int64_t experts;
    int topk;
    bool prefill;
    moe_ascend_on_t device;
    moe_ascend_settings_t settings;
} moe_ascend_facts_t;

typedef struct {
    const char *date;
    const char *change; /* pull request, or "head" */
    const char *source;
    const char *text;
} moe_ascend_revision_t;

const moe_ascend_revision_t *moe_ascend_revision(moe_ascend_t revision);

/** Revision of a pull request, of "head", or the newest that is not after a
 * date YYYY-MM-DD; MOE_ASCEND_COUNT if there is none. */
moe_ascend_t moe_ascend_find(const char *text);

/** Generation of a machine's device; MOE_ASCEND_ON_machine if it is none. */
moe_ascend_on_t moe_ascend_device(const char *device);
const char *moe_ascend_device_word(moe_ascend_on_t device);

/** True if a revision says what to do on a device: the first two do not ask,
 * later ones know A2 and A3, the last one all. */
bool moe_ascend_knows(moe_ascend_t revision, moe_ascend_on_t device);

/** Largest count of tokens for which a revision takes MC2; 0: never. */
int64_t moe_ascend_capacity(moe_ascend_t revision,
                            const moe_ascend_facts_t *facts);

/** What a revision takes; it must know the device. */
moe_ascend_takes_t moe_ascend_choose(moe_ascend_t revision,
                                     const moe_ascend_facts_t *facts);

/** Name of the method that models it, whether this program has it or not. */
const char *moe_ascend_method(moe_ascend_takes_t takes);

#endif
