/* SPDX-License-Identifier: Apache-2.0 */
/* What a mistake costs to try, counted and not timed: a name must not depend
 * on the machine. The unit is a multiplication of a matmul, or a weight that
 * is drawn for it. */
#include "ref/diagnose_inside.h"

#define PER_ELEMENT 100.0 /* rounded, widened, judged: for each of a place */

static double elements(const moe_judge_t *judge, moe_role_t role)
{
    int64_t rows;
    int64_t cols;

    (void)moe_ref_layer_shape(&judge->layer, role, &rows, &cols);
    return (double)rows * (double)cols;
}

/* Products of a place, and the weights that they are of. */
static double products(const moe_judge_t *judge, moe_role_t role)
{
    const moe_ref_case_t *about = &judge->layer.about;
    const moe_model_t *m = about->model;
    const double experts = (double)(about->experts.end - about->experts.begin);
    const double rows = (double)judge->layer.index.n;
    const double w13 = (double)moe_weight_rows(m, MOE_W13) *
                       (double)moe_weight_cols(m, MOE_W13);
    const double w2 =
        (double)moe_weight_rows(m, MOE_W2) * (double)moe_weight_cols(m, MOE_W2);

    switch (role) {
    case MOE_ROLE_logits:
        return elements(judge, role) * (double)m->hidden;
    case MOE_ROLE_gemm1_out:
        return (rows + experts) * w13;
    case MOE_ROLE_gemm2_out:
        return (rows + experts) * w2;
    default:
        return 0.0;
    }
}

static double chain(const moe_judge_t *judge, moe_role_t from, moe_role_t to)
{
    double sum = 0.0;

    for (int r = (int)from; r <= (int)to; r++) {
        sum += products(judge, (moe_role_t)r) +
               PER_ELEMENT * elements(judge, (moe_role_t)r);
    }
    return sum;
}

bool moe_diagnose_has_twin(moe_fault_kind_t kind)
{
    return kind == MOE_FAULT_previous_call || kind == MOE_FAULT_stale_padding ||
           kind == MOE_FAULT_global_ids || kind == MOE_FAULT_minus_one;
}

double moe_diagnose_work(const moe_judge_t *judge, moe_fault_t fault,
                         moe_role_t seen)
{
    if (fault.role == MOE_ROLE_topk_weights) { /* experts' rows stay */
        return products(judge, MOE_ROLE_logits) +
               PER_ELEMENT *
                   (elements(judge, fault.role) + elements(judge, seen));
    }
    return chain(judge, fault.role, seen) +
           (moe_diagnose_has_twin(fault.kind)
                ? chain(judge, MOE_ROLE_hidden, fault.role)
                : 0.0);
}
