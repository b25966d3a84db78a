/* SPDX-License-Identifier: Apache-2.0 */
/* float64 products by AVX2 and FMA: two registers of x by six rows of
 * weights are 12 sums, which with what they are made of fill the 16 registers.
 */
#include "ref/gemm.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2,fma")))
#define AVX2_INLINE                                                            \
    static inline __attribute__((always_inline, target("avx2,fma")))

enum {
    LANES = 4,
    MOST = 2,
    W_ROWS = 6
};

static bool available(void)
{
    return __builtin_cpu_supports("avx2") != 0 &&
           __builtin_cpu_supports("fma") != 0;
}

/* n registers; a constant wherever this is called. */
AVX2_INLINE void multiply_panel(int n, const double *x, const double *w,
                                int64_t k, bool begins, double *sum,
                                int64_t stride)
{
    __m256d s[W_ROWS][MOST];

#pragma GCC unroll 6
    for (int j = 0; j < W_ROWS; j++) {
#pragma GCC unroll 2
        for (int r = 0; r < n; r++) {
            s[j][r] = begins ? _mm256_setzero_pd()
                             : _mm256_loadu_pd(sum + j * stride + r * LANES);
        }
    }
#pragma GCC unroll 4
    for (int64_t c = 0; c < k; c++, x += n * LANES, w++) {
        __m256d v[MOST];

#pragma GCC unroll 2
        for (int r = 0; r < n; r++) {
            v[r] = _mm256_loadu_pd(x + r * LANES);
        }
#pragma GCC unroll 6
        for (int j = 0; j < W_ROWS; j++) {
            const __m256d one = _mm256_set1_pd(w[j * MOE_GEMM_PIECE]);

#pragma GCC unroll 2
            for (int r = 0; r < n; r++) {
                s[j][r] = _mm256_fmadd_pd(v[r], one, s[j][r]);
            }
        }
    }
#pragma GCC unroll 6
    for (int j = 0; j < W_ROWS; j++) {
#pragma GCC unroll 2
        for (int r = 0; r < n; r++) {
            _mm256_storeu_pd(sum + j * stride + r * LANES, s[j][r]);
        }
    }
}

AVX2 static void multiply(int registers, const double *x, const double *w,
                          int64_t k, bool begins, double *sum, int64_t stride)
{
    if (registers == 2) {
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

const moe_gemm_kernel_t moe_gemm_avx2 = {
    .name = "avx2",
    .lanes = LANES,
    .most = MOST,
    .w_rows = W_ROWS,
    .available = available,
    .multiply = multiply,
};
