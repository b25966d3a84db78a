/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * A machine: devices, links between them, and where every number is from.
 */
#ifndef MODELS_MACHINE_H
#define MODELS_MACHINE_H

#include "moe/format.h"
#include "moe/model.h"

typedef enum {
#define MOE_PROVENANCE(id, text) MOE_PROVENANCE_##id,
#include "models/provenance.def"
#undef MOE_PROVENANCE
    MOE_PROVENANCE_COUNT
} moe_provenance_t;

/** Name of a kind as machine files spell it; "?" if out of range. */
const char *moe_provenance_name(moe_provenance_t kind);

/** One line about a kind; "?" if out of range. */
const char *moe_provenance_text(moe_provenance_t kind);

/** One number of a machine file. */
typedef struct {
    double value;
    double error; /* relative, of a 90 % interval: 0.1 is 10 % */
    moe_provenance_t kind;
    int ranks; /* largest group that the source measured; 0: any will do */
    char source[256];
} moe_constant_t;

#define MOE_TIERS_MAX 4

/** A level of links; the smallest whose size holds a group carries it. */
typedef struct {
    char name[64];                 /* nvlink, hccs, infiniband, ... */
    char topology[32];             /* switch, full_mesh, rail */
    int size;                      /* ranks that it connects */
    moe_constant_t bw_bytes_per_s; /* of one rank, one direction */
    moe_constant_t latency_s;      /* of one step between two ranks */
} moe_tier_t;

typedef struct {
    char name[MOE_NAME_MAX];
    char source[512];
    char device[MOE_NAME_MAX];
    int64_t hbm_bytes;
    moe_constant_t hbm_bytes_per_s;
    moe_constant_t memory_efficiency;       /* of hbm_bytes_per_s, reached */
    moe_constant_t flops[MOE_FORMAT_COUNT]; /* dense matrix rate by operand
                                             * format; 0: none */
    moe_constant_t matmul_efficiency;       /* of flops, reached */
    moe_constant_t launch_s;                /* one kernel */
    moe_constant_t collective_s;            /* start of a collective, beside its
                                             * steps */
    int n_tiers;
    moe_tier_t tier[MOE_TIERS_MAX]; /* smallest first */
} moe_machine_t;

#endif
