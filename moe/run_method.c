/* SPDX-License-Identifier: Apache-2.0 */
#include "moe/run_method.h"

#include "moe/ctx.h"

#include <stdlib.h>

void moe_output(moe_ctx_t *c, moe_tensor_t *t)
{
    moe_tensor_t *out = moe_to(c, t, MOE_ROLE_output);

    if (out == NULL) {
        return;
    }
    c->has_output = true;
    if (c->run->on_output != NULL) {
        moe_ctx_fail(c, c->run->on_output(c->run->on_output_self, out));
    }
    moe_release(c, out);
}

static void run_stage(moe_ctx_t *c, moe_stage_t stage)
{
    moe_backend_t *be = c->run->backend;

    if (c->status != MOE_OK) {
        return;
    }
    c->stage = stage;
    c->skip = (c->run->stages >> stage & 1) == 0;
    moe_ctx_fail(c, be->stage_begin(be, stage));
    if (c->status == MOE_OK) {
        c->run->use->method->stage[stage](c);
    }
}

static moe_status_t run_all(moe_ctx_t *c)
{
    const moe_method_t *method = c->run->use->method;
    const char *why = method->check(c->run->layer, c->run->use->options);

    if (why != NULL) {
        moe_ctx_refuse(c, why);
        return c->status;
    }
    c->plan = calloc(1, method->plan_size + 1);
    if (c->plan == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for a plan");
    }
    method->plan(c);
    for (int s = 0; s < MOE_STAGE_COUNT; s++) {
        run_stage(c, (moe_stage_t)s);
    }
    if (c->status == MOE_OK && !c->has_output) {
        return moe_fail(MOE_ERR_INTERNAL, "method %s gave no output",
                        method->name);
    }
    return c->status;
}

/* Also after an error: what was enqueued still uses the tensors. */
static moe_status_t flush(moe_ctx_t *c, moe_status_t status)
{
    moe_backend_t *be = c->run->backend;
    moe_status_t late =
        be->flush != NULL ? be->flush(be, c->run->sink) : MOE_OK;

    return status != MOE_OK ? status : late;
}

moe_layer_t moe_method_layer(const moe_layer_t *layer,
                             const moe_method_use_t *use)
{
    moe_layer_t own = *layer;

    if (use->tokens != NULL) {
        own.layout = use->layout;
        own.tokens = use->tokens;
        own.before = NULL;
    }
    return own;
}

moe_status_t moe_run_method(const moe_run_t *run)
{
    const moe_layer_t layer = moe_method_layer(run->layer, run->use);
    moe_run_t own = *run;
    moe_ctx_t c = {.run = &own};
    moe_status_t status;

    own.layer = &layer;
    status = flush(&c, run_all(&c));

    moe_ctx_fini(&c);
    if (run->sink != NULL && run->sink->memory != NULL) {
        run->sink->memory(run->sink->self, run->rank, c.bytes);
    }
    return status;
}
