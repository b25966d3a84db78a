/* SPDX-License-Identifier: Apache-2.0 */
#include "ref/matmul_operand.h"

#include "ref/room.h"

#include <math.h>
#include <stdlib.h>

enum {
    ALIGN = 64,
    BLOCK_TILE = 128,  /* rows of either operand where blocks are summed */
    MOST_ROWS = 512,   /* else; and as many of x */
    MOST_PANEL = 1536, /* and of weights as these bytes hold: large enough that
                        * what GEMM packs is used often */
    KERNEL_PANEL = 192 /* rows of weights for a kernel: whole numbers of what
                        * each takes at a time; with their sums they stay in
                        * cache */
};

#define ROWS_BYTES  (INT64_C(32) << 20)
#define PANEL_BYTES (INT64_C(48) << 20)

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t round_up(int64_t bytes, int64_t page)
{
    return (bytes + page - 1) / page * page;
}

/* Memory of a walk, all in one piece but for the codes of weights. */
typedef struct {
    int64_t rows;    /* of x in a tile, at most */
    int64_t m;       /* of weights */
    int64_t product; /* numbers of each part of a tile's room */
    int64_t more;
    int64_t room;
    int64_t sums;
    int64_t x_bytes;
    int64_t w_bytes;
    int64_t bytes;
    const moe_gemm_kernel_t *kernel; /* NULL: BLAS */
} plan_t;

/* How many of n rows of K numbers: at most most, in so many bytes, but not
 * fewer than where blocks are summed. */
static int64_t tile_of(int64_t n, int64_t k, int64_t bytes, int64_t most)
{
    const int64_t held = bytes / (k * (int64_t)sizeof(double)) / 32 * 32;
    const int64_t room = held > BLOCK_TILE ? held : BLOCK_TILE;

    return smaller(n, smaller(room, most));
}

/* Bytes, where those of the operands are known. */
static plan_t with_bytes(plan_t p)
{
    p.bytes =
        p.x_bytes + p.w_bytes +
        (p.product + p.more + p.m + p.room + p.sums) * (int64_t)sizeof(double);
    p.bytes = moe_room_bytes(p.bytes);
    return p;
}

static plan_t plan_blas(int64_t rows, int64_t k, int64_t n, int64_t block)
{
    const bool blocks = block > 0;
    plan_t p = {.rows = smaller(rows, BLOCK_TILE), .m = smaller(n, BLOCK_TILE)};

    if (!blocks) {
        p.rows = tile_of(rows, k, ROWS_BYTES, MOST_ROWS);
        p.m = tile_of(n, k, PANEL_BYTES, MOST_PANEL);
        block = k;
    }
    p.product = p.rows * p.m;
    p.more = (blocks ? 0 : p.m) +
             (blocks || moe_float_in_pieces(k) ? 2 * p.product : 0);
    p.room = blocks ? 2 * (k / block) : p.m;
    p.x_bytes = round_up(moe_operand_bytes(p.rows, k, block), ALIGN);
    p.w_bytes = round_up(moe_operand_bytes(p.m, k, block), ALIGN);
    return with_bytes(p);
}

static plan_t plan_kernel(const moe_gemm_kernel_t *kernel, int64_t rows,
                          int64_t k, int64_t n, bool pieces)
{
    plan_t p = {.rows = tile_of(rows, k, ROWS_BYTES, MOST_ROWS),
                .m = smaller(n, KERNEL_PANEL),
                .kernel = kernel};
    const int64_t padded = moe_gemm_padded(kernel, p.rows);

    p.product = p.rows * p.m;
    p.more = p.m + (pieces ? 2 * p.product : 0);
    p.room = p.m + 2 * k;
    p.sums = (KERNEL_PANEL + 8) * padded;
    p.x_bytes = round_up(moe_operand_bytes(padded, k, k), ALIGN);
    p.w_bytes = round_up(
        moe_operand_bytes(KERNEL_PANEL, MOE_GEMM_PIECE, MOE_GEMM_PIECE), ALIGN);
    return with_bytes(p);
}

/* pieces: results are joined of pieces of K. */
static plan_t plan_of(int64_t rows, int64_t k, int64_t n, int64_t block,
                      bool pieces)
{
    const moe_gemm_kernel_t *kernel = block > 0 ? NULL : moe_gemm_kernel();

    return kernel == NULL ? plan_blas(rows, k, n, block)
                          : plan_kernel(kernel, rows, k, n, pieces);
}

static int64_t bytes_of(const plan_t *p, moe_format_t weights, int64_t k)
{
    return p->bytes + moe_weight_panel_bytes(weights, p->m, k);
}

/* BLAS is the largest: who asks may not be who multiplies. */
int64_t moe_matmul_walk_bytes(moe_format_t weights, int64_t rows, int64_t k,
                              int64_t n, int64_t block)
{
    const plan_t p = plan_of(rows, k, n, block, false);
    const plan_t blas = plan_blas(rows, k, n, block);
    const int64_t most = bytes_of(&blas, weights, k);
    const int64_t own = bytes_of(&p, weights, k);

    return rows <= 0 ? 0 : own > most ? own : most;
}

/* What all experts share. */
typedef struct {
    const moe_ref_weights_t *weights;
    const moe_rows_t *x;
    moe_matmul_tile_func_t *multiply;
    plan_t plan;
    moe_matmul_tile_t tile; /* places of its operands */
    double *bias;           /* [m] */
    moe_weight_panel_t panel;
    moe_operand_reader_t x_reader;
    moe_operand_reader_t w_reader;
} walk_t;

static void take_rows(walk_t *w, const moe_matmul_tile_t *tile)
{
    if (w->plan.kernel != NULL) {
        moe_matmul_pack(tile);
    } else {
        moe_operand_decode(w->x, tile->row, tile->n, &tile->x);
    }
}

static void take_weights(walk_t *w, int64_t e, const moe_matmul_tile_t *tile)
{
    moe_ref_weights_get(w->weights, e, tile->col, tile->m, &w->panel);
    moe_ref_weights_bias(w->weights, e, tile->col, tile->m, w->bias);
    if (w->plan.kernel != NULL) {
        moe_operand_reader_init(&w->w_reader, &w->panel.rows);
        moe_operand_facts(&w->w_reader, 0, tile->m, &tile->w, tile->rows);
    } else {
        moe_operand_decode(&w->panel.rows, 0, tile->m, &tile->w);
    }
}

/* Rows of x are the outer loop where they are few; each tile of them is
 * decoded once for all panels, panels once a tile. */
static void walk_expert(walk_t *w, int64_t e, int64_t first, int64_t end)
{
    const int64_t n = w->tile.out->cols;
    moe_matmul_tile_t tile = w->tile;

    for (tile.row = first; tile.row < end; tile.row += tile.n) {
        tile.n = smaller(end - tile.row, w->plan.rows);
        take_rows(w, &tile);
        for (tile.col = 0; tile.col < n; tile.col += tile.m) {
            tile.m = smaller(n - tile.col, w->plan.m);
            take_weights(w, e, &tile);
            w->multiply(&tile);
            tile.stats->elements += tile.n * tile.m;
        }
    }
}

static moe_status_t check(const moe_ref_weights_t *weights, const moe_rows_t *x,
                          const moe_rows_t *out)
{
    const int64_t k = moe_ref_weights_k(weights);
    const int block = moe_format_info(x->storage.format)->block;

    if (x->cols != k || out->cols != moe_ref_weights_n(weights)) {
        return moe_fail(MOE_ERR_INTERNAL,
                        "matmul of %lld columns to %lld, weights have %lld",
                        (long long)x->cols, (long long)out->cols, (long long)k);
    }
    if (k < 1 || k > INT32_MAX || !moe_ref_weights_fit(weights) ||
        (block > 0 && block != MOE_BLOCK_ROW && k % block != 0)) {
        return moe_fail(MOE_ERR_RANGE,
                        "matmul of %s by %s over %lld columns: a block is cut",
                        moe_format_name(x->storage.format),
                        moe_format_name(weights->format), (long long)k);
    }
    return MOE_OK;
}

static void place(walk_t *w, char *memory, int64_t block)
{
    const plan_t *p = &w->plan;
    const int64_t k = w->x->cols;
    moe_matmul_tile_t *t = &w->tile;

    if (p->kernel != NULL) {
        t->x = moe_operand_place(memory, moe_gemm_padded(p->kernel, p->rows), k,
                                 k);
        t->w = moe_operand_place(memory + p->x_bytes, KERNEL_PANEL,
                                 MOE_GEMM_PIECE, MOE_GEMM_PIECE);
    } else {
        t->x = moe_operand_place(memory, p->rows, k, block);
        t->w = moe_operand_place(memory + p->x_bytes, p->m, k, block);
    }
    t->product = (double *)(void *)(memory + p->x_bytes + p->w_bytes);
    t->more = t->product + p->product;
    w->bias = t->more + p->more;
    t->bias = w->bias;
    t->room = w->bias + p->m;
    t->rows = t->room + p->m;
    t->sums = t->room + p->room;
    t->kernel = p->kernel;
    t->x_reader = &w->x_reader;
    t->w_reader = &w->w_reader;
    moe_operand_reader_init(&w->x_reader, w->x);
}

static moe_status_t run(walk_t *w, const int64_t *offset, int64_t n_experts,
                        int64_t block)
{
    const plan_t *p = &w->plan;
    char *memory = moe_room_take(p->bytes);

    if (memory == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for a matmul: %lld bytes",
                        (long long)p->bytes);
    }
    place(w, memory, block);
    for (int64_t e = 0; e < n_experts; e++) {
        walk_expert(w, e, offset[e], offset[e + 1]);
    }
    free(memory);
    return MOE_OK;
}

moe_status_t moe_matmul_walk(const moe_ref_weights_t *weights,
                             const moe_rows_t *x, const int64_t *offset,
                             int64_t n_experts, const moe_rows_t *out,
                             int64_t block, moe_matmul_tile_func_t *multiply,
                             moe_ref_stats_t *stats)
{
    walk_t w = {.weights = weights,
                .x = x,
                .multiply = multiply,
                .tile = {.out = out, .stats = stats}};
    moe_status_t status = check(weights, x, out);
    int64_t most = 0;

    for (int64_t e = 0; e < n_experts; e++) {
        int64_t n = offset[e + 1] - offset[e];

        most = n > most ? n : most;
    }
    if (status != MOE_OK || most == 0) {
        return status;
    }
    w.plan = plan_of(most, x->cols, out->cols, block,
                     out->storage.format == MOE_FORMAT_fp32 &&
                         moe_float_in_pieces(x->cols));
    status = moe_weight_panel_init(weights, w.plan.m, &w.panel);
    if (status == MOE_OK) {
        status = run(&w, offset, n_experts, block > 0 ? block : x->cols);
        moe_weight_panel_fini(&w.panel);
    }
    return status;
}

/* sum += a b, error-free. */
static void add_product(moe_sum_t *sum, double a, double b)
{
    const double high = a * b;

    moe_sum_add_value(sum, high);
    moe_sum_add_value(sum, fma(a, b, -high));
}

bool moe_matmul_close(const moe_matmul_open_t *open, moe_format_t format,
                      uint32_t *bits_p)
{
    moe_sum_t sum = {0.0, 0.0, open->sum.err * open->factor * (1.0 + 0x1p-50)};

    add_product(&sum, open->sum.hi, open->factor);
    add_product(&sum, open->sum.lo, open->factor);
    moe_sum_add_value(&sum, open->bias);
    return moe_sum_round(&sum, format, bits_p);
}
