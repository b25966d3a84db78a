/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NVFP4 sums by AMX: tiles of 16 x 64 bytes times 64 x 16 bytes.
 *
 * Rows of x and weights are integers of two limbs, or three: the products of
 * low limbs, of high ones, and the mixed ones each fill a tile of int32,
 * below 2^25 after a piece of 1024 columns; the piece is then added to int64
 * with the shifts of its rows and weights.
 */
#include "config.h"

#include "ref/matmul_nvfp4_limbs.h"

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <immintrin.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define AMX  __attribute__((target("amx-int8,amx-tile,avx512f")))
#define WIDE __attribute__((target("avx512f")))

enum {
    ROWS = MOE_LIMBS_ROWS,
    LINE = 64,
    TILE_BYTES = ROWS * LINE,
    MIN_ROWS = 12, /* fewer leave the tiles too empty */
    MAX_ROWS = 256,
    MAX_PANEL = 128,
    LIMB_BITS = 8,
    ARCH_REQ_XCOMP_PERM = 0x1023, /* arch_prctl(2) */
    XFEATURE_XTILEDATA = 18,
    CPUID_TILES = 3 << 24 /* leaf 7, edx: amx-tile, amx-int8 */
};

/* The kernel gives a process its tiles when asked. */
static bool available(void)
{
    unsigned a;
    unsigned b;
    unsigned c;
    unsigned d;

    return moe_limbs_available() && __get_cpuid_count(7, 0, &a, &b, &c, &d) &&
           (d & CPUID_TILES) == CPUID_TILES &&
           syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) ==
               0;
}

/* The parts of the work memory. */
typedef struct {
    moe_limbs_t *x;  /* [pieces][strips of x] */
    moe_limbs_t *w;  /* [panels], an even number */
    int64_t *sums;   /* [panels][strips][16][16] */
    uint8_t *codes;  /* of a piece of a panel */
    uint8_t *scales; /* the same */
    int64_t strips;
    int64_t bytes;
} work_t;

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t strips_of(int64_t rows)
{
    return (rows + ROWS - 1) / ROWS;
}

/* Panels are multiplied by pairs. */
static int64_t panels_of(int64_t rows)
{
    return (strips_of(rows) + 1) / 2 * 2;
}

static int64_t pieces_of(int64_t k)
{
    return (k + MOE_NVFP4_PIECE - 1) / MOE_NVFP4_PIECE;
}

static void *take(uint8_t *base, int64_t bytes, int64_t *used_p)
{
    void *part = base != NULL ? base + *used_p : NULL;

    *used_p += (bytes + LINE - 1) / LINE * LINE;
    return part;
}

static work_t cut_work(void *base, int64_t n, int64_t rows, int64_t k)
{
    work_t w = {.strips = strips_of(n)};
    int64_t limbs = (int64_t)sizeof(moe_limbs_t);

    w.x = take(base, pieces_of(k) * w.strips * limbs, &w.bytes);
    w.codes = take(base, ROWS * MOE_NVFP4_PIECE / 2, &w.bytes);
    w.scales = take(base, ROWS * MOE_LIMBS_BLOCKS, &w.bytes);
    w.w = take(base, panels_of(rows) * limbs, &w.bytes);
    w.sums = take(base,
                  panels_of(rows) * w.strips * ROWS * ROWS *
                      (int64_t)sizeof(*w.sums),
                  &w.bytes);
    return w;
}

static int64_t work_bytes(int64_t n, int64_t rows, int64_t k)
{
    return cut_work(NULL, n, rows, k).bytes;
}

static void prepare(const moe_nvfp4_tile_t *tile, void *work)
{
    int64_t k = tile->x->cols;
    work_t w = cut_work(work, tile->n, tile->rows, k);

    for (int64_t p = 0; p < pieces_of(k); p++) {
        int64_t col = p * MOE_NVFP4_PIECE;

        for (int64_t s = 0; s < w.strips; s++) {
            moe_limbs_left(
                tile->x, tile->first + s * ROWS, tile->first + tile->n, col,
                smaller(k - col, MOE_NVFP4_PIECE), &w.x[p * w.strips + s]);
        }
    }
}

/* What _tile_loadconfig() reads: eight whole tiles. */
typedef struct {
    uint8_t palette;
    uint8_t start_row;
    uint8_t reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} config_t;

AMX static void begin_tiles(void)
{
    static const config_t config = {
        .palette = 1,
        .row_bytes = {LINE, LINE, LINE, LINE, LINE, LINE, LINE, LINE},
        .rows = {ROWS, ROWS, ROWS, ROWS, ROWS, ROWS, ROWS, ROWS}};

    _tile_loadconfig(&config);
}

AMX static void end_tiles(void)
{
    _tile_release();
}

/* The intrinsics don't tell GCC that they read memory. */
static inline void settle(void)
{
    __asm__ volatile("" ::: "memory");
}

/* Products of a strip of x and two panels, two limbs each: by panel those of
 * low limbs, mixed, of high limbs. */
typedef struct {
    int32_t of[2][3][ROWS * ROWS];
} products_t;

AMX static void multiply_pair(const moe_limbs_t *x, const moe_limbs_t *w,
                              int64_t chunks, products_t *out)
{
    settle();
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    _tile_zero(4);
    _tile_zero(5);
    for (int64_t c = 0; c < chunks; c++) {
        _tile_loadd(6, x->limb[0][c], LINE);
        _tile_loadd(7, w[0].limb[0][c], LINE);
        _tile_dpbssd(0, 6, 7);
        _tile_loadd(7, w[0].limb[1][c], LINE);
        _tile_dpbssd(1, 6, 7);
        _tile_loadd(7, w[1].limb[0][c], LINE);
        _tile_dpbssd(3, 6, 7);
        _tile_loadd(7, w[1].limb[1][c], LINE);
        _tile_dpbssd(4, 6, 7);
        _tile_loadd(6, x->limb[1][c], LINE);
        _tile_dpbssd(5, 6, 7);
        _tile_loadd(7, w[0].limb[0][c], LINE);
        _tile_dpbssd(1, 6, 7);
        _tile_loadd(7, w[0].limb[1][c], LINE);
        _tile_dpbssd(2, 6, 7);
        _tile_loadd(7, w[1].limb[0][c], LINE);
        _tile_dpbssd(4, 6, 7);
    }
    _tile_stored(0, out->of[0][0], LINE);
    _tile_stored(1, out->of[0][1], LINE);
    _tile_stored(2, out->of[0][2], LINE);
    _tile_stored(3, out->of[1][0], LINE);
    _tile_stored(4, out->of[1][1], LINE);
    _tile_stored(5, out->of[1][2], LINE);
}

/* One product of limbs. */
AMX static void multiply_limb(const moe_limbs_t *x, int i, const moe_limbs_t *w,
                              int j, int64_t chunks, int32_t *out)
{
    settle();
    _tile_zero(0);
    for (int64_t c = 0; c < chunks; c++) {
        _tile_loadd(6, x->limb[i][c], LINE);
        _tile_loadd(7, w->limb[j][c], LINE);
        _tile_dpbssd(0, 6, 7);
    }
    _tile_stored(0, out, LINE);
}

/* sums [16][16] += products x 2^(8 power) x the shifts of row and weight. */
WIDE static void add_shifted(const moe_limbs_t *x, const moe_limbs_t *w,
                             const int32_t *products, int power, int64_t *sums)
{
    for (int r = 0; r < ROWS; r++) {
        int64_t shift = x->shift[r] + LIMB_BITS * power;

        for (int half = 0; half < 2; half++) {
            int64_t *to = sums + r * ROWS + 8 * half;
            __m512i value = _mm512_cvtepi32_epi64(_mm256_loadu_si256(
                (const __m256i *)(const void *)(products + r * ROWS +
                                                8 * half)));
            __m512i by =
                _mm512_add_epi64(_mm512_loadu_si512(w->shift + 8 * half),
                                 _mm512_set1_epi64(shift));

            value = _mm512_sllv_epi64(value, by);
            _mm512_storeu_si512(
                to, _mm512_add_epi64(_mm512_loadu_si512(to), value));
        }
    }
}

static void add_wide(const moe_limbs_t *x, const moe_limbs_t *w, int64_t chunks,
                     int64_t *sums)
{
    int32_t product[ROWS * ROWS];

    for (int i = 0; i < x->limbs; i++) {
        for (int j = 0; j < w->limbs; j++) {
            multiply_limb(x, i, w, j, chunks, product);
            add_shifted(x, w, product, i + j, sums);
        }
    }
}

/* A strip of x times panels p and p + 1 of a piece. */
static void add_pair(const work_t *work, const moe_limbs_t *x, int64_t strip,
                     int64_t p, int64_t chunks)
{
    const moe_limbs_t *w = &work->w[p];
    int64_t *sums[2];

    for (int i = 0; i < 2; i++) {
        sums[i] = work->sums + ((p + i) * work->strips + strip) * ROWS * ROWS;
    }
    if (x->limbs == 2 && w[0].limbs == 2 && w[1].limbs == 2) {
        products_t products;

        multiply_pair(x, w, chunks, &products);
        for (int i = 0; i < 6; i++) {
            add_shifted(x, &w[i / 3], products.of[i / 3][i % 3], i % 3,
                        sums[i / 3]);
        }
        return;
    }
    add_wide(x, &w[0], chunks, sums[0]);
    add_wide(x, &w[1], chunks, sums[1]);
}

/* Columns [col, + cols) of all panels and all strips. */
static void add_piece(const moe_nvfp4_tile_t *tile, const work_t *work,
                      int64_t col, int64_t cols)
{
    const moe_nvfp4_weights_t *weights = tile->weights;
    const moe_limbs_t *x = work->x + col / MOE_NVFP4_PIECE * work->strips;
    int64_t chunks = (cols + MOE_LIMBS_CHUNK - 1) / MOE_LIMBS_CHUNK;
    int64_t panels = strips_of(tile->rows);

    for (int64_t p = 0; p < panels; p++) {
        weights->fetch_panel(weights->from, tile->row + p * ROWS, col, cols,
                             work->codes, work->scales);
        moe_limbs_right(work->codes, work->scales, cols, &work->w[p]);
    }
    for (int64_t s = 0; s < work->strips; s++) {
        for (int64_t p = 0; p < panels; p += 2) {
            add_pair(work, &x[s], s, p, chunks);
        }
    }
}

static void copy_sums(const moe_nvfp4_tile_t *tile, const work_t *work,
                      int64_t *sums)
{
    for (int64_t p = 0; p < strips_of(tile->rows); p++) {
        int64_t rows = smaller(tile->rows - p * ROWS, ROWS);
        const int64_t *from = work->sums + p * work->strips * ROWS * ROWS;

        for (int64_t i = 0; i < tile->n; i++) {
            memcpy(sums + i * tile->rows + p * ROWS, from + i * ROWS,
                   (size_t)rows * sizeof(*sums));
        }
    }
}

static void sum(const moe_nvfp4_tile_t *tile, void *memory, int64_t *sums)
{
    int64_t k = tile->x->cols;
    work_t work = cut_work(memory, tile->n, tile->rows, k);
    int64_t panels = panels_of(tile->rows);

    memset(work.sums, 0,
           (size_t)(panels * work.strips * ROWS * ROWS) * sizeof(*work.sums));
    if (strips_of(tile->rows) < panels) { /* of no weights */
        memset(&work.w[panels - 1], 0, sizeof(*work.w));
        work.w[panels - 1].limbs = 2;
    }
    begin_tiles();
    for (int64_t c = 0; c < k; c += MOE_NVFP4_PIECE) {
        add_piece(tile, &work, c, smaller(k - c, MOE_NVFP4_PIECE));
    }
    end_tiles();
    copy_sums(tile, &work, sums);
}

const moe_nvfp4_kernel_t moe_nvfp4_amx = {
    .name = "amx",
    .min_rows = MIN_ROWS,
    .max_rows = MAX_ROWS,
    .max_panel = MAX_PANEL,
    .few_rows = 0,
    .few_panel = MAX_PANEL,
    .available = available,
    .work_bytes = work_bytes,
    .prepare = prepare,
    .sum = sum,
};
#else
static bool available(void)
{
    return false;
}

const moe_nvfp4_kernel_t moe_nvfp4_amx = {.name = "amx",
                                          .available = available};
#endif
