/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A test of a kernel in C, with libmoeref alone.
 *
 *     cc judge_kernel.c $(pkg-config --cflags --libs moeref) -lm
 *
 * The kernel under test is a plain activation. It is given gate and up
 * projections of a layer and has to return SwiGLU of them; then it makes a
 * mistake on purpose, and the judge says where.
 */
#include <moeref.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LAYER                                                                  \
    "hidden=256 intermediate=128 experts=8 topk=2 token_end=16 expert_end=4"

/* silu(gate) x up of rows [gate | up], in bf16. */
static void my_kernel(const moeref_tensor_t *in, uint16_t *out, int mistake)
{
    const int64_t half = in->cols / 2;
    const uint16_t *row = in->data;

    for (int64_t i = 0; i < in->rows; i++, row += in->cols) {
        for (int64_t j = 0; j < half; j++) {
            const float gate = moeref_from_bf16(row[mistake ? half + j : j]);
            const float up = moeref_from_bf16(row[mistake ? j : half + j]);

            out[i * half + j] =
                moeref_to_bf16(gate / (1.0f + expf(-gate)) * up);
        }
    }
}

static int judge(moeref_case_t *c, int mistake)
{
    /* the output is judged from the input that the kernel had */
    static const char *const names[2] = {"gemm1_out", "act_out"};
    moeref_tensor_t t[2];
    char text[2000] = "";
    moeref_status_t status;

    if (moeref_case_tensor(c, names[0], &t[0]) != MOEREF_OK ||
        moeref_case_tensor(c, names[1], &t[1]) != MOEREF_OK) {
        fprintf(stderr, "%s\n", moeref_error());
        exit(2);
    }
    t[1].data = malloc((size_t)(t[1].rows * t[1].cols) * 2);
    if (t[1].data == NULL) {
        exit(3);
    }
    my_kernel(&t[0], t[1].data, mistake);
    status = moeref_case_check(c, names, t, 2, text, sizeof(text));
    printf("%s", text);
    free(t[1].data);
    return status == MOEREF_OK;
}

int main(void)
{
    moeref_case_t *c = moeref_case_new(LAYER);
    int right;
    int wrong;

    if (c == NULL) {
        fprintf(stderr, "%s\n", moeref_error());
        return 2;
    }
    right = judge(c, 0);
    wrong = judge(c, 1);
    moeref_case_free(c);
    return right && !wrong ? 0 : 1;
}
