/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What suites that run as several ranks share. Every rank runs every test;
 * a rank that fails one leaves the others waiting, so all end after a while.
 */
#ifndef TESTS_MPI_SUPPORT_H
#define TESTS_MPI_SUPPORT_H

#include "ref/mpi/backend_ref.h"
#include "tests/support.h"

/** Ranks of this run, and own one; set by moe_mpi_suite_main(). */
extern moe_world_t *test_world;
extern int test_rank;
extern int test_ranks;

/** Start MPI, run a suite, end MPI: exit status. */
int moe_mpi_suite_main(Suite *suite);

/** A layer of one dp rank a rank: dp = ep = W, tp = 1. */
typedef struct {
    moe_model_t model;
    int64_t tokens[64];
    moe_layer_t layer;
    moe_agreement_t *agreement;
    moe_ledger_t *ledger;
    moe_method_use_t use;
    moe_injection_t injection;
    moe_backend_t *backend;
} test_run_t;

/**
 * A backend of such a layer.
 * @param[in] verify    Whether calls are agreed upon.
 * @param[in] injected  Fault, or NULL.
 */
void test_run_init(test_run_t *run, moe_numerics_t numerics, bool verify,
                   const char *injected);
void test_run_fini(test_run_t *run);

/** A tensor [rows][cols] with data from the backend. */
moe_tensor_t *test_tensor(test_run_t *run, moe_format_t format, int64_t rows,
                          int64_t cols);
void test_tensor_free(test_run_t *run, moe_tensor_t *tensor);

/** A collective over all ranks; its call number counts by itself. */
moe_call_t test_call(test_run_t *run, moe_op_t op, moe_tensor_t *in,
                     moe_tensor_t *out, const int64_t *send,
                     const int64_t *recv);

/** Run it, with a trace record such as the front-end would make. */
moe_status_t test_do(test_run_t *run, const moe_call_t *call);

#endif
