/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libmoeref's conversions against the host code of CUDA's cuda_fp4.h and
 * cuda_fp8.h: prints a line a conversion, ends with 1 if a code differs.
 * The argument is the stride over the 2^32 floats.
 */
#include "ref/moeref.h"

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp4.h>
#include <cuda_fp8.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

namespace
{

struct pair_t {
    const char *name;
    unsigned (*ours)(float);
    unsigned (*theirs)(float);
};

const pair_t pairs[] = {
    {"e2m1", [](float x) -> unsigned { return moeref_to_e2m1(x); },
     [](float x) -> unsigned {
         return __nv_cvt_float_to_fp4(x, __NV_E2M1, cudaRoundNearest);
     }},
    {"e4m3", [](float x) -> unsigned { return moeref_to_e4m3(x); },
     [](float x) -> unsigned {
         return __nv_cvt_float_to_fp8(x, __NV_SATFINITE, __NV_E4M3);
     }},
    {"e4m3_nosat", [](float x) -> unsigned { return moeref_to_e4m3_nosat(x); },
     [](float x) -> unsigned {
         return __nv_cvt_float_to_fp8(x, __NV_NOSAT, __NV_E4M3);
     }},
    {"e5m2", [](float x) -> unsigned { return moeref_to_e5m2(x); },
     [](float x) -> unsigned {
         return __nv_cvt_float_to_fp8(x, __NV_SATFINITE, __NV_E5M2);
     }},
    {"e5m2_nosat", [](float x) -> unsigned { return moeref_to_e5m2_nosat(x); },
     [](float x) -> unsigned {
         return __nv_cvt_float_to_fp8(x, __NV_NOSAT, __NV_E5M2);
     }},
    {"e8m0", [](float x) -> unsigned { return moeref_to_e8m0(x); },
     [](float x) -> unsigned {
         return __nv_cvt_float_to_e8m0(x, __NV_SATFINITE, cudaRoundPosInf);
     }},
    {"e8m0_nosat", [](float x) -> unsigned { return moeref_to_e8m0_nosat(x); },
     [](float x) -> unsigned {
         return __nv_cvt_float_to_e8m0(x, __NV_NOSAT, cudaRoundPosInf);
     }},
    {"e8m0_zero", [](float x) -> unsigned { return moeref_to_e8m0_zero(x); },
     [](float x) -> unsigned {
         return __nv_cvt_float_to_e8m0(x, __NV_SATFINITE, cudaRoundZero);
     }},
    {"e8m0_zero_nosat",
     [](float x) -> unsigned { return moeref_to_e8m0_zero_nosat(x); },
     [](float x) -> unsigned {
         return __nv_cvt_float_to_e8m0(x, __NV_NOSAT, cudaRoundZero);
     }},
    /* NaN has no code of its own: 7FFF there, its own bits here */
    {"bf16",
     [](float x) -> unsigned { return x == x ? moeref_to_bf16(x) : 0x7fff; },
     [](float x) -> unsigned {
         return __nv_bfloat16_raw(__float2bfloat16_rn(x)).x;
     }},
    {"fp16",
     [](float x) -> unsigned { return x == x ? moeref_to_fp16(x) : 0x7fff; },
     [](float x) -> unsigned { return __half_raw(__float2half_rn(x)).x; }},
};

void sweep(const pair_t &pair, uint64_t first, uint64_t step, uint64_t *wrong)
{
    for (uint64_t bits = first; bits <= UINT32_MAX; bits += step) {
        uint32_t u = static_cast<uint32_t>(bits);
        float x;

        std::memcpy(&x, &u, sizeof(x));
        *wrong += pair.ours(x) != pair.theirs(x);
    }
}

} // namespace

int main(int argc, char **argv)
{
    uint64_t stride = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1;
    unsigned n = std::thread::hardware_concurrency();
    int status = 0;

    n = n == 0 ? 1 : n;
    for (const pair_t &pair : pairs) {
        std::vector<uint64_t> wrong(n * 8);
        std::vector<std::thread> threads;
        uint64_t total = 0;

        for (unsigned i = 0; i < n; i++) {
            threads.emplace_back(sweep, pair, i * stride, n * stride,
                                 &wrong[i * 8]);
        }
        for (unsigned i = 0; i < n; i++) {
            threads[i].join();
            total += wrong[i * 8];
        }
        std::printf("%-16s %llu differ\n", pair.name,
                    static_cast<unsigned long long>(total));
        status |= total != 0;
    }
    return status;
}
