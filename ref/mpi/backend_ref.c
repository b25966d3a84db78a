/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "ref/mpi/backend_inside.h"

#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* Freed tensors go back to the system: what is measured is what lives. */
#define MAP_FROM_BYTES (1 << 20)

static moe_status_t run(moe_backend_t *self, const moe_call_t *call,
                        moe_trace_record_t *record)
{
    moe_ref_backend_t *be = (moe_ref_backend_t *)self;
    double start = moe_mpi_now();
    moe_status_t status;

    if (moe_op_plane(call->op) == MOE_PLANE_COLLECTIVE) {
        status = moe_ref_collective(be, call, record);
    } else {
        status = moe_ref_local(be, call);
    }
    record->start_s = start;
    record->wall_s = moe_mpi_now() - start;
    return status == MOE_OK && be->in.observe != NULL
               ? be->in.observe(be->in.observe_self, call)
               : status;
}

/* Each operation is done at once; a group is a name for several. */
static moe_status_t group_begin(moe_backend_t *self, bool fused,
                                const char *name)
{
    (void)self;
    (void)fused;
    (void)name;
    return MOE_OK;
}

static moe_status_t group_end(moe_backend_t *self)
{
    (void)self;
    return MOE_OK;
}

static moe_status_t stage_begin(moe_backend_t *self, moe_stage_t stage)
{
    moe_ref_backend_t *be = (moe_ref_backend_t *)self;
    moe_injection_t *kill_me =
        moe_injection_due(be->in.injections, be->in.n_injections,
                          MOE_INJECTION_kill, moe_world_rank(be->in.world));

    be->stage = stage;
    moe_runstate_stage(moe_world_state(be->in.world), "stage %s of %s",
                       moe_stage_name(stage), be->use->label);
    if (kill_me != NULL && (kill_me->stages >> stage & 1) != 0) {
        kill_me->fired = true;
        (void)raise(SIGKILL);
    }
    return MOE_OK;
}

static const moe_backend_t table = {
    .name = "ref",
    .alloc = moe_ref_alloc,
    .free = moe_ref_free,
    .storage_bytes = moe_ref_storage_bytes,
    .workspace_bytes = moe_ref_workspace_bytes,
    .agree = moe_ref_agree,
    .run = run,
    .group_begin = group_begin,
    .group_end = group_end,
    .stage_begin = stage_begin,
};

static const moe_backend_t like = {
    .name = "ref",
    .storage_bytes = moe_ref_storage_bytes,
    .workspace_bytes = moe_ref_workspace_bytes,
};

const moe_backend_t *moe_ref_backend_like(void)
{
    return &like;
}

moe_status_t moe_ref_backend_create(const moe_ref_inputs_t *inputs,
                                    moe_backend_t **backend_p)
{
    moe_ref_backend_t *be = calloc(1, sizeof(*be));

    if (be == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for a backend");
    }
#ifdef M_MMAP_THRESHOLD
    (void)mallopt(M_MMAP_THRESHOLD, MAP_FROM_BYTES);
#endif
    be->table = table;
    be->in = *inputs;
    be->scenario = inputs->layer;
    *backend_p = &be->table;
    return MOE_OK;
}

void moe_ref_backend_free(moe_backend_t *backend)
{
    free(backend);
}

moe_status_t moe_ref_backend_begin(moe_backend_t *backend,
                                   const moe_method_use_t *use)
{
    moe_ref_backend_t *be = (moe_ref_backend_t *)backend;

    be->use = use;
    be->stage = MOE_STAGE_prepare;
    be->n_begun++;
    be->n_experts_done = 0;
    moe_agreement_method(be->in.agreement, use->label);
    moe_runstate_stage(moe_world_state(be->in.world), "the plan of %s",
                       use->label);
    be->layer = moe_method_layer(be->scenario, use);
    be->in.layer = &be->layer;
    return moe_world_set_layout(be->in.world, &be->layer.layout);
}

void moe_ref_backend_hidden(moe_backend_t *backend, const uint16_t *hidden)
{
    ((moe_ref_backend_t *)backend)->in.hidden = hidden;
}

const moe_ref_stats_t *moe_ref_backend_stats(const moe_backend_t *backend)
{
    return &((const moe_ref_backend_t *)backend)->stats;
}
