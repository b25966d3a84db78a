/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Local operations.
 *
 * How it works: a roofline. Bytes of tensors, and of the weights that are
 * really read, over the memory rate that is reached; matrix flops over the
 * matrix rate of the operands' format that is reached; the larger counts.
 * Each operation with rows is one kernel and pays one launch.
 * Source: Williams, Waterman, Patterson: Roofline (CACM 2009).
 * Cost: launch + max(bytes / (hbm eff), flops / (rate eff)).
 * Test: tests/check_price.c.
 */
#include "models/cost.h"

bool moe_cost_is_matmul(moe_op_t op)
{
    return op == MOE_OP_logits || op == MOE_OP_grouped_matmul;
}

static int code_bits(int format)
{
    return moe_dtype_bits(moe_format_info((moe_format_t)format)->code);
}

/* The format itself, else the narrowest at least as wide that has a rate. */
static bool find_rate(const moe_machine_t *machine, moe_format_t format,
                      moe_format_t *rate_p)
{
    int best = -1;

    if (machine->flops[format].value > 0.0) {
        *rate_p = format;
        return true;
    }
    for (int f = 0; f < MOE_FORMAT_COUNT; f++) {
        if (machine->flops[f].value > 0.0 &&
            code_bits(f) >= code_bits((int)format) &&
            (best < 0 || code_bits(f) < code_bits(best))) {
            best = f;
        }
    }
    if (best >= 0) {
        *rate_p = (moe_format_t)best;
    }
    return best >= 0;
}

static moe_status_t matmul_seconds(const moe_machine_t *machine,
                                   const moe_trace_record_t *record,
                                   moe_format_t *rate_p, double *seconds_p)
{
    if (!find_rate(machine, record->operand, rate_p)) {
        return moe_fail(MOE_ERR_RANGE,
                        "machine %s has no matrix rate for %s or a wider "
                        "format",
                        machine->name, moe_format_name(record->operand));
    }
    *seconds_p = record->flops / (machine->flops[*rate_p].value *
                                  machine->matmul_efficiency.value);
    return MOE_OK;
}

/* Hidden states lie in memory already; without rows nothing is started, and
 * no weights are read. A format to itself is the rounding that `exact` puts
 * off, which the system does where it sums. */
static bool is_kernel(const moe_trace_record_t *record, double bytes)
{
    if (moe_cost_is_matmul(record->op)) {
        return record->flops > 0.0;
    }
    if (record->op == MOE_OP_convert && record->operand == record->format) {
        return false;
    }
    return record->op != MOE_OP_load_hidden && bytes > 0.0;
}

moe_status_t moe_cost_local(const moe_machine_t *machine,
                            const moe_trace_record_t *record,
                            moe_cost_t *cost_p, moe_format_t *rate_p)
{
    moe_cost_t cost = {.s = {0}};
    double bytes = (double)record->read_bytes + (double)record->write_bytes;
    double compute = 0.0;
    double memory = bytes / (machine->hbm_bytes_per_s.value *
                             machine->memory_efficiency.value);

    if (is_kernel(record, bytes)) {
        if (moe_cost_is_matmul(record->op)) {
            moe_status_t status =
                matmul_seconds(machine, record, rate_p, &compute);

            if (status != MOE_OK) {
                return status;
            }
        }
        cost.s[MOE_COST_launch] = machine->launch_s.value;
        if (compute > memory) {
            cost.s[MOE_COST_compute + (int)*rate_p] = compute;
        } else {
            cost.s[MOE_COST_memory] = memory;
        }
    }
    *cost_p = cost;
    return MOE_OK;
}
