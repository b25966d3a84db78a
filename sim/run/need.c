/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "sim/run/need.h"

#include "models/backend_meta.h"
#include "moe/placed.h"
#include "ref/gating_routed.h"
#include "ref/mpi/backend_ref.h"
#include "reports/units.h"
#include "sim/inputs/layer_feed.h"
#include "sim/launch/memory.h"
#include "sim/inputs/inputs.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

moe_status_t moe_need_check(const moe_need_t *need, int64_t limit)
{
    bool given = limit > 0;
    int64_t wanted = given ? need->bytes : need->bytes - need->resident;
    char text[MOE_UNIT_SIZE];
    char have[MOE_UNIT_SIZE];

    if (!given && !need->one_host) {
        return MOE_OK;
    }
    if (!given) {
        limit = moe_memory_free();
    }
    if (limit < 0 || wanted <= limit) {
        return MOE_OK;
    }
    return moe_fail(MOE_ERR_NOMEM,
                    "the run needs %s on %d rank%s, %s are %s: fewer ranks "
                    "(--ranks), tokens or methods, or --memory-limit",
                    moe_unit_bytes(need->bytes, text), need->ranks,
                    need->ranks == 1 ? "" : "s", moe_unit_bytes(limit, have),
                    given ? "allowed" : "free");
}

static int64_t inputs_of_all(const moe_scenario_t *scenario, int ranks)
{
    int64_t sum = 0;

    for (int r = 0; r < ranks; r++) {
        sum +=
            MOE_START_BYTES + MOE_OTHER_BYTES + moe_inputs_bytes(scenario, r);
    }
    return sum;
}

/* Peak of each rank over all methods. */
static moe_status_t peaks(const moe_scenario_t *scenario,
                          moe_stage_set_t stages, const moe_routing_t *routing,
                          int ranks, int64_t *peak)
{
    int64_t *one = calloc((size_t)ranks, sizeof(*one));
    const moe_trace_sink_t none = {0};
    moe_status_t status = MOE_OK;

    if (one == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for a plan");
    }
    for (size_t m = 0; status == MOE_OK && m < scenario->n_methods; m++) {
        status = moe_meta_run(&scenario->layer, &scenario->method[m], routing,
                              moe_ref_backend_like(), stages, &none, one);
        for (int r = 0; r < ranks; r++) {
            peak[r] = one[r] > peak[r] ? one[r] : peak[r];
        }
    }
    free(one);
    return status;
}

/* A gate in process: the own logits and what is made of them, then the rows,
 * ids and weights of all tokens. */
static int64_t gate_bytes(const moe_scenario_t *s, const moe_method_use_t *use,
                          const moe_layer_t *layer, int rank)
{
    const moe_range_t own =
        moe_layer_tokens(layer, moe_layout_dp_rank(&layer->layout, rank));
    const int64_t n = own.end - own.begin;
    const int64_t pairs = moe_layer_total_tokens(layer) * s->model.topk;
    moe_gate_rule_t rule;

    return !moe_method_gate(layer, use, &rule)
               ? 0
               : moe_ref_gate_routed_bytes(&rule, n, s->model.experts) +
                     n * s->model.experts * (int64_t)sizeof(float) + 12 * pairs;
}

/* What --golden keeps of a rank's tensors, and computes beside them. */
static int64_t golden_bytes(const moe_scenario_t *s,
                            const moe_method_use_t *use,
                            const moe_routing_t *routing, int rank)
{
    const moe_layer_t layer = moe_method_layer(&s->layer, use);
    const moe_layout_t *l = &layer.layout;
    const moe_range_t all = {0, moe_layer_total_tokens(&s->layer)};
    const moe_range_t experts = moe_layout_experts(
        l, layer.model->experts, moe_layout_group_index(l, MOE_GROUP_ep, rank));
    const moe_ref_case_t about = moe_layer_case(
        s, s->layer.chain.at[MOE_ROLE_hidden].format, all, experts);
    int64_t pairs = 0;

    for (int64_t i = 0; i < all.end * s->model.topk; i++) {
        pairs +=
            routing->ids[i] >= experts.begin && routing->ids[i] < experts.end;
    }
    return 2 * moe_ref_layer_bytes(&about, pairs) +
           gate_bytes(s, use, &layer, rank);
}

/* The largest of all methods, each as it lays the layer. */
static int64_t most_golden_bytes(const moe_scenario_t *s,
                                 const moe_routing_t *routing, int rank)
{
    int64_t most = 0;

    for (size_t m = 0; m < s->n_methods; m++) {
        const int64_t bytes = golden_bytes(s, &s->method[m], routing, rank);

        most = bytes > most ? bytes : most;
    }
    return most;
}

static moe_status_t by_sample(const moe_command_t *command,
                              const moe_scenario_t *scenario, moe_need_t *need)
{
    const moe_sampler_t uniform = {.kind = MOE_SAMPLER_uniform};
    int64_t *peak = calloc((size_t)need->ranks, sizeof(*peak));
    moe_routing_t routing = {0};
    moe_status_t status;

    if (peak == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for a plan");
    }
    status = moe_routing_sample(
        &scenario->model,
        scenario->router == MOE_ROUTER_sample ? &scenario->sampler : &uniform,
        scenario->seed, 0, moe_layer_total_tokens(&scenario->layer), &routing);
    if (status == MOE_OK) {
        status = moe_routing_place(&scenario->layer, &routing);
    }
    if (status == MOE_OK) {
        status = peaks(scenario, command->stages, &routing, need->ranks, peak);
        for (int r = 0; command->golden && r < need->ranks; r++) {
            need->bytes += most_golden_bytes(scenario, &routing, r);
        }
    }
    moe_routing_fini(&routing);
    for (int r = 0; r < need->ranks; r++) {
        need->bytes += peak[r];
    }
    free(peak);
    return status == MOE_OK ? moe_need_check(need, command->memory_limit)
                            : status;
}

/* What mpirun opens for a rank (its streams and a socket), and for itself. */
#define FILES_OF_RANK   4
#define FILES_OF_MPIRUN 64

/* A rank and the threads that MPI starts in it; mpirun and its own. */
#define PROCESSES_OF_RANK   3
#define PROCESSES_OF_MPIRUN 16

moe_status_t moe_need_check_limits(int ranks)
{
    const char *s = ranks == 1 ? "" : "s";
    long long files = (long long)ranks * FILES_OF_RANK + FILES_OF_MPIRUN;
    long long processes =
        (long long)ranks * PROCESSES_OF_RANK + PROCESSES_OF_MPIRUN;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 &&
        limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < (rlim_t)files) {
        return moe_fail(MOE_ERR_NOMEM,
                        "%d rank%s need about %lld open files in mpirun, %llu "
                        "are allowed: fewer ranks (--ranks), or more files "
                        "(ulimit -n)",
                        ranks, s, files, (unsigned long long)limit.rlim_cur);
    }
    if (geteuid() != 0 && getrlimit(RLIMIT_NPROC, &limit) == 0 &&
        limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < (rlim_t)processes) {
        return moe_fail(MOE_ERR_NOMEM,
                        "%d rank%s need about %lld processes and threads, %llu "
                        "are allowed: fewer ranks (--ranks), or more processes "
                        "(ulimit -u)",
                        ranks, s, processes,
                        (unsigned long long)limit.rlim_cur);
    }
    return MOE_OK;
}

moe_status_t moe_need_estimate(const moe_command_t *command,
                               const moe_scenario_t *scenario)
{
    moe_need_t need = {.one_host = true};
    moe_status_t status;

    need.ranks = moe_layout_world(&scenario->layer.layout);
    status = moe_need_check_limits(need.ranks);
    if (status != MOE_OK) {
        return status;
    }
    need.bytes = inputs_of_all(scenario, need.ranks);
    status = moe_need_check(&need, command->memory_limit);
    return status == MOE_OK ? by_sample(command, scenario, &need) : status;
}
