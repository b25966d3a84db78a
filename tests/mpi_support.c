/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "tests/mpi_support.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* AddressSanitizer asks for it: leaks of Open MPI are known by its libraries,
 * which have no frame pointers to walk. */
__attribute__((visibility("default"))) const char *__asan_default_options(void);

const char *__asan_default_options(void)
{
    return "fast_unwind_on_malloc=0";
}

/* The program's, under the 600 s that the driver gives it: with sanitizers and
 * other tests beside it, 4 ranks on 2 cores take minutes. */
#define LIMIT_S 580

moe_world_t *test_world;
int test_rank;
int test_ranks;

static int *all_ranks;
static int64_t n_calls;

/* mpirun -q ends all ranks as one ends, and says nothing. */
static void give_up(int signal_number)
{
    static const char what[] = "no end after 580 s: killed\n";

    (void)signal_number;
    (void)!write(STDERR_FILENO, what, sizeof(what) - 1);
    _exit(EXIT_FAILURE);
}

int moe_mpi_suite_main(Suite *suite)
{
    int failed;

    (void)signal(SIGALRM, give_up);
    (void)alarm(LIMIT_S);
    (void)setenv("CK_FORK", "no", 1);
    if (moe_world_create(NULL, &test_world) != MOE_OK) {
        fprintf(stderr, "%s\n", moe_error_text());
        return EXIT_FAILURE;
    }
    test_rank = moe_world_rank(test_world);
    test_ranks = moe_world_size(test_world);
    all_ranks = calloc((size_t)test_ranks, sizeof(*all_ranks));
    for (int r = 0; all_ranks != NULL && r < test_ranks; r++) {
        all_ranks[r] = r;
    }
    failed = moe_suite_main(suite);
    free(all_ranks);
    if (failed != 0) {
        moe_world_abort(test_world, failed);
    }
    moe_world_free(test_world);
    return failed;
}

void test_run_init(test_run_t *run, moe_numerics_t numerics, bool verify,
                   const char *injected)
{
    moe_ref_inputs_t in = {.world = test_world, .layer = &run->layer};

    memset(run, 0, sizeof(*run));
    moe_error_clear();
    run->model.hidden = 8;
    run->model.experts = 12;
    run->model.topk = 4;
    run->layer.model = &run->model;
    run->layer.layout = (moe_layout_t){test_ranks, 1, test_ranks, 1};
    run->layer.tokens = run->tokens;
    run->layer.chain.numerics = numerics;
    (void)snprintf(run->use.label, sizeof(run->use.label), "probe");
    ck_assert_int_eq(moe_world_set_layout(test_world, &run->layer.layout),
                     MOE_OK);
    ck_assert_int_eq(moe_agreement_create(test_world, verify, &run->agreement),
                     MOE_OK);
    ck_assert_int_eq(moe_ledger_create(test_rank, &run->ledger), MOE_OK);
    if (injected != NULL) {
        ck_assert(
            moe_injection_parse(injected, test_ranks, &run->injection, NULL));
        in.injections = &run->injection;
        in.n_injections = 1;
    }
    in.agreement = run->agreement;
    in.ledger = run->ledger;
    in.n_calls = 2;
    ck_assert_int_eq(moe_ref_backend_create(&in, &run->backend), MOE_OK);
    ck_assert_int_eq(moe_ref_backend_begin(run->backend, &run->use), MOE_OK);
    n_calls = 0;
}

void test_run_fini(test_run_t *run)
{
    moe_ref_backend_free(run->backend);
    moe_ledger_free(run->ledger);
    moe_agreement_free(run->agreement);
}

moe_tensor_t *test_tensor(test_run_t *run, moe_format_t format, int64_t rows,
                          int64_t cols)
{
    moe_tensor_t *t = calloc(1, sizeof(*t));

    ck_assert_ptr_nonnull(t);
    t->role = MOE_ROLE_combine;
    t->storage.format = format;
    t->dtype = moe_format_info(format)->code;
    t->ndim = 2;
    t->dim[0] = t->valid_rows = rows;
    t->dim[1] = t->row_stride = cols;
    ck_assert_int_eq(run->backend->alloc(run->backend, t), MOE_OK);
    return t;
}

void test_tensor_free(test_run_t *run, moe_tensor_t *tensor)
{
    run->backend->free(run->backend, tensor);
    free(tensor);
}

moe_call_t test_call(test_run_t *run, moe_op_t op, moe_tensor_t *in,
                     moe_tensor_t *out, const int64_t *send,
                     const int64_t *recv)
{
    moe_call_t call = {
        .op = op, .group = MOE_GROUP_world, .order = MOE_ORDER_rank};

    (void)run;
    call.call = ++n_calls;
    call.in[0] = in;
    call.n_in = 1;
    call.out[0] = out;
    call.n_out = 1;
    call.ranks = all_ranks;
    call.n_ranks = test_ranks;
    call.me = test_rank;
    call.send_rows = send;
    call.recv_rows = recv;
    call.root = -1;
    return call;
}

moe_status_t test_do(test_run_t *run, const moe_call_t *call)
{
    moe_trace_record_t record = {.op = call->op,
                                 .group = call->group,
                                 .call = call->call,
                                 .dtype = call->in[0]->dtype};

    record.transfer.n = call->n_ranks;
    record.transfer.me = call->me;
    record.transfer.ranks = call->ranks;
    record.transfer.send_rows = call->send_rows;
    record.transfer.recv_rows = call->recv_rows;
    record.transfer.row_bytes = moe_tensor_row_bytes(call->in[0], 1);
    record.transfer.root = call->root;
    return run->backend->run(run->backend, call, &record);
}
