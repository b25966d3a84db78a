/* SPDX-License-Identifier: Apache-2.0 */
/* float64 products by AVX-512: four registers of x by six rows of weights are
 * 24 sums, which with what they are made of fill the 32 registers. */
#include "ref/gemm.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define AVX512 __attribute__((target("avx512f")))
#define AVX512_INLINE                                                          \
    static inline __attribute__((always_inline, target("avx512f")))

enum {
    LANES = 8,
    MOST = 4,
    W_ROWS = 6
};

static bool available(void)
{
    return __builtin_cpu_supports("avx512f") != 0;
}

/* n registers; a constant wherever this is called. */
AVX512_INLINE void multiply_panel(int n, const double *x, const double *w,
                                  int64_t k, bool begins, double *sum,
                                  int64_t stride)
{
    __m512d s[W_ROWS][MOST];

#pragma GCC unroll 6
    for (int j = 0; j < W_ROWS; j++) {
#pragma GCC unroll 4
        for (int r = 0; r < n; r++) {
            s[j][r] = begins ? _mm512_setzero_pd()
                             : _mm512_loadu_pd(sum + j * stride + r * LANES);
        }
    }
    for (int64_t c = 0; c < k; c++, x += n * LANES, w++) {
        __m512d v[MOST];

#pragma GCC unroll 4
        for (int r = 0; r < n; r++) {
            v[r] = _mm512_loadu_pd(x + r * LANES);
        }
#pragma GCC unroll 6
        for (int j = 0; j < W_ROWS; j++) {
            const __m512d one = _mm512_set1_pd(w[j * MOE_GEMM_PIECE]);

#pragma GCC unroll 4
            for (int r = 0; r < n; r++) {
                s[j][r] = _mm512_fmadd_pd(v[r], one, s[j][r]);
            }
        }
    }
#pragma GCC unroll 6
    for (int j = 0; j < W_ROWS; j++) {
#pragma GCC unroll 4
        for (int r = 0; r < n; r++) {
            _mm512_storeu_pd(sum + j * stride + r * LANES, s[j][r]);
        }
    }
}

AVX512 static void multiply(int registers, const double *x, const double *w,
                            int64_t k, bool begins, double *sum, int64_t stride)
{
    if (registers == 4) {
        multiply_panel(4, x, w, k, begins, sum, stride);
    } else if (registers == 3) {
        multiply_panel(3, x, w, k, begins, sum, stride);
    } else if (registers == 2) {
        multiply_panel(2, x, w, k, begins, sum, stride);
    } else {
        multiply_panel(1, x, w, k, begins, sum, stride);
    }
}
#else
enum {
    LANES = 1,
    MOST = 1,
    W_ROWS = 1
};

static bool available(void)
{
    return false;
}

#define multiply NULL
#endif

const moe_gemm_kernel_t moe_gemm_avx512 = {
    .name = "avx512",
    .lanes = LANES,
    .most = MOST,
    .w_rows = W_ROWS,
    .available = available,
    .multiply = multiply,
};
