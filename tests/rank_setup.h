/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * A rank of a run as the program makes it, in suites that run as several
 * ranks: inputs, routing source, reference backend.
 */
#ifndef TESTS_RANK_SETUP_H
#define TESTS_RANK_SETUP_H

#include "sim/inputs/inputs.h"
#include "tests/mpi_support.h"
#include "tests/scenarios.h"

typedef struct {
    moe_scenario_t *scenario;
    moe_inputs_t inputs;
    moe_routing_t routing; /* of all tokens */
    moe_agreement_t *agreement;
    moe_ledger_t *ledger;
    moe_backend_t *backend;
} rank_setup_t;

/** The tutorial's first scenario with changes, and this rank's inputs. */
void rank_setup_inputs(rank_setup_t *s, const moe_change_t *changes, size_t n);

/** Then: the routing source of all ranks, and a backend. */
void rank_setup_backend(rank_setup_t *s);
void rank_setup_free(rank_setup_t *s);

/** This rank's tokens where the method lays the layer; to free(). */
uint16_t *rank_setup_hidden(const rank_setup_t *s, const moe_method_use_t *use);

/** Run a method on such tokens; on_output as in moe_run_t, told self.
 * NULL: none. */
typedef moe_status_t rank_setup_output_t(void *self, const moe_tensor_t *out);
typedef struct {
    rank_setup_output_t *func;
    void *self;
} rank_setup_told_t;
void rank_setup_run(const rank_setup_t *s, const moe_method_use_t *use,
                    const uint16_t *hidden, const rank_setup_told_t *told);

#endif
