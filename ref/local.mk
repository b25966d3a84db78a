# The convenience archive of all of ref/ but ref/mpi/, and the shared library
# that is made of it: libmoeref exports what ref/moeref.h declares.
noinst_LTLIBRARIES += ref/libref.la
lib_LTLIBRARIES += libmoeref.la

ref_libref_la_SOURCES = \
  ref/accumulator.def \
  ref/activation.c \
  ref/activation.h \
  ref/combine.c \
  ref/combine.h \
  ref/combine_order.c \
  ref/compare.c \
  ref/compare.h \
  ref/conversions.def \
  ref/elements.c \
  ref/elements.h \
  ref/exact.c \
  ref/exact.h \
  ref/exact_gate.c \
  ref/exact_gate.h \
  ref/exp.h \
  ref/fault.c \
  ref/fault.def \
  ref/fault.h \
  ref/fault_applies.c \
  ref/fault_codes.c \
  ref/fault_expert.c \
  ref/fault_inside.h \
  ref/fault_profile.c \
  ref/fault_round.c \
  ref/fault_route.c \
  ref/fault_sum.c \
  ref/fault_tile.c \
  ref/diagnose.c \
  ref/diagnose.h \
  ref/diagnose_sites.c \
  ref/diagnose_try.c \
  ref/diagnose_work.c \
  ref/diagnose_inside.h \
  ref/formats.c \
  ref/formats.h \
  ref/judge.c \
  ref/judge.h \
  ref/judge_activation.c \
  ref/judge_carry.c \
  ref/judge_quantised.c \
  ref/judge_budget.c ref/judge_codes.c \
  ref/judge_inside.h \
  ref/judge_numbers.c \
  ref/judge_gate.c \
  ref/judge_route.c \
  ref/judge_route.h \
  ref/judge_sums.c ref/judge_width.c \
  ref/gemm.c ref/gemm.h ref/gemm_avx512.c ref/gemm_avx2.c \
  ref/grid.c \
  ref/grid.h \
  ref/layer.c \
  ref/layer.h \
  ref/layer_abs.c \
  ref/layer_inside.h \
  ref/layer_make.c \
  ref/dot.c \
  ref/dot.h \
  ref/gating_capacity.c \
  ref/gating_capacity.h \
  ref/gating_drop.c \
  ref/gating_drop.h \
  ref/gating_routed.c \
  ref/gating_routed.h \
  ref/logits.c \
  ref/logits.h \
  ref/matmul.c \
  ref/matmul.h \
  ref/matmul_block.c \
  ref/matmul_float.c \
  ref/matmul_nvfp4.c \
  ref/matmul_nvfp4.h \
  ref/matmul_nvfp4_avx2.c \
  ref/matmul_nvfp4_blas.c \
  ref/matmul_nvfp4_drawn.c \
  ref/matmul_nvfp4_int.c \
  ref/matmul_nvfp4_int.h \
  ref/matmul_nvfp4_sums.c \
  ref/matmul_nvfp4_vnni.c \
  ref/matmul_nvfp4_amx.c ref/units_avx512.h \
  ref/matmul_nvfp4_limbs.c ref/matmul_nvfp4_limbs.h \
  ref/moeref.c \
  ref/moeref_profiles.c \
  ref/moeref_elements.c \
  ref/case_checks.c \
  ref/case_setting.def ref/case_settings.c ref/case_settings.h \
  ref/moeref_case.c ref/moeref_check.c ref/moeref_inject.c \
  ref/moeref_inside.h \
  ref/nvfp4_decode.c \
  ref/nvfp4_decode.h \
  ref/nvfp4_decode_avx2.c \
  ref/nvfp4_decode_avx512.c \
  ref/nvfp4_encode.c \
  ref/nvfp4_encode.h \
  ref/nvfp4_encode_avx2.c \
  ref/matmul_operand.c \
  ref/matmul_operand.h \
  ref/matmul_packed.c \
  ref/nvfp4_expand.c \
  ref/nvfp4_expand.h \
  ref/nvfp4_expand_ssse3.c \
  ref/odd.h \
  ref/operand.c \
  ref/operand.h \
  ref/oracle.c \
  ref/oracle.h \
  ref/oracle_combine.c \
  ref/oracle_combine.h \
  ref/oracle_gate.h \
  ref/oracle_gating.c \
  ref/oracle_gating.h \
  ref/oracle_linear.h \
  ref/oracle_order.c \
  ref/oracle_order.h \
  ref/oracle_logfmt.c ref/oracle_logfmt.h \
  ref/oracle_numbers.h \
  ref/oracle_quantize.c ref/oracle_quantize.h \
  ref/oracle_route.c \
  ref/oracle_unrounded.h \
  ref/permute.c \
  ref/permute.h \
  ref/permute_forms.c \
  ref/permute_forms.h \
  ref/sort.c \
  ref/sort.h \
  ref/quantize.c \
  ref/quantize.h \
  ref/logfmt.h \
  ref/quantize_fp8.c \
  ref/quantize_fp8_groups.c \
  ref/quantize_fp8_rows.c \
  ref/quantize_int8.c \
  ref/quantize_logfmt.c \
  ref/quantize_mx.c \
  ref/quantize_nvfp4.c \
  ref/quantize_nvfp4_fast.c \
  ref/quantize_nvfp4_torchao.c \
  ref/quantize_profile.h \
  ref/rcp_table.c ref/rcp_table.h \
  ref/route.c \
  ref/route.h \
  ref/route_choose.c \
  ref/route_choose.h \
  ref/route_fast.c ref/route_fast.h \
  ref/route_near.c ref/route_near.h ref/route_row.c ref/route_row.h \
  ref/room.c ref/room.h \
  ref/rows.c \
  ref/rows.h \
  ref/score.c \
  ref/score.h \
  ref/stats.h \
  ref/swizzle.c \
  ref/swizzle.h \
  ref/version.c \
  ref/weights.c \
  ref/weights.h \
  ref/version.h

libmoeref_la_SOURCES =
libmoeref_la_LIBADD = ref/libref.la moe/libmoe.la base/libcore.la \
  $(BLAS_LIBS) $(MPFR_LIBS) $(GMP_LIBS) -lm
libmoeref_la_LDFLAGS = $(AM_LDFLAGS) -version-info 0:0:0
if VERSION_SCRIPT
libmoeref_la_LDFLAGS += -Wl,--version-script=$(srcdir)/ref/moeref.map
endif
libmoeref_la_DEPENDENCIES = ref/libref.la moe/libmoe.la base/libcore.la \
  ref/moeref.map

# Users get one header: ref/moeref.h with its parts in it.
MOEREF_PARTS = ref/moeref_base.h ref/moeref_case.h ref/moeref_number.h \
  ref/moeref_nvfp4.h ref/moeref_profile.h ref/moeref_scales.h
nodist_include_HEADERS += moeref.h
noinst_HEADERS += ref/moeref.h $(MOEREF_PARTS)
CLEANFILES += moeref.h
moeref.h: ref/moeref.h $(MOEREF_PARTS)
	$(AM_V_GEN)awk -v folder='$(srcdir)/ref' \
	  -f $(srcdir)/ref/moeref_header.awk $(srcdir)/ref/moeref.h >$@.new && \
	  mv -f $@.new $@

EXTRA_DIST += ref/README.md ref/moeref.map ref/moeref_header.awk

# Tests of ref/. Each links all of the archive.
REF_LIBS = ref/libref.la moe/libmoe.la base/libcore.la $(BLAS_LIBS) \
  $(MPFR_LIBS) $(GMP_LIBS) $(CHECK_LIBS) -lm

check_PROGRAMS += tests/check_elements \
  tests/check_element_vectors tests/check_formats tests/check_matmul \
  tests/check_case tests/check_matmul_nvfp4 tests/check_moeref \
  tests/check_nvfp4_round \
  tests/check_permute \
  tests/check_logfmt tests/check_moeref_profiles \
  tests/check_quantize tests/check_quantize_edges \
  tests/check_quantize_fast tests/check_quantize_profiles \
  tests/check_quantize_steps tests/check_swizzle
TESTS += tests/check_elements \
  tests/check_element_vectors tests/check_formats tests/check_matmul \
  tests/check_matmul_nvfp4 \
  tests/check_nvfp4_round \
  tests/check_case tests/check_moeref tests/check_permute \
  tests/check_logfmt tests/check_moeref_profiles \
  tests/check_quantize tests/check_quantize_edges \
  tests/check_quantize_fast tests/check_quantize_profiles \
  tests/check_quantize_steps tests/check_swizzle
tests_check_elements_SOURCES = tests/check_elements.c
tests_check_elements_LDADD = $(REF_LIBS) -lpthread
tests_check_element_vectors_SOURCES = tests/check_element_vectors.c
tests_check_element_vectors_LDADD = $(REF_LIBS)
tests_check_formats_SOURCES = tests/check_formats.c
tests_check_formats_LDADD = $(REF_LIBS)
tests_check_matmul_SOURCES = tests/check_matmul.c
tests_check_matmul_LDADD = $(REF_LIBS)
tests_check_matmul_nvfp4_SOURCES = tests/check_matmul_nvfp4.c
tests_check_matmul_nvfp4_LDADD = $(REF_LIBS)
tests_check_nvfp4_round_SOURCES = tests/check_nvfp4_round.c
tests_check_nvfp4_round_LDADD = $(REF_LIBS)
tests_check_case_SOURCES = tests/check_case.c
tests_check_case_LDADD = libmoeref.la $(CHECK_LIBS) -lm
tests_check_moeref_SOURCES = tests/check_moeref.c
tests_check_moeref_LDADD = libmoeref.la $(CHECK_LIBS) -lm
tests_check_permute_SOURCES = tests/check_permute.c
tests_check_permute_LDADD = $(REF_LIBS)
tests_check_quantize_SOURCES = tests/check_quantize.c tests/rows_store.h
tests_check_quantize_LDADD = $(REF_LIBS)
tests_check_logfmt_SOURCES = tests/check_logfmt.c gpu/fast_blocks.h
tests_check_logfmt_LDADD = $(REF_LIBS)
tests_check_moeref_profiles_SOURCES = tests/check_moeref_profiles.c
tests_check_moeref_profiles_LDADD = libmoeref.la $(CHECK_LIBS) -lm
tests_check_quantize_edges_SOURCES = tests/check_quantize_edges.c
tests_check_quantize_edges_LDADD = $(REF_LIBS)
tests_check_quantize_fast_SOURCES = tests/check_quantize_fast.c \
  gpu/fast_blocks.h
tests_check_quantize_fast_LDADD = $(REF_LIBS)
EXTRA_DIST += tests/fixtures/fast_rcp_sm90.txt
tests_check_quantize_profiles_SOURCES = tests/check_quantize_profiles.c \
  tests/quantize_statements.c tests/quantize_statements.h tests/rows_store.h
tests_check_quantize_profiles_LDADD = $(REF_LIBS)
tests_check_quantize_steps_SOURCES = tests/check_quantize_steps.c \
  tests/rows_store.h
tests_check_quantize_steps_LDADD = $(REF_LIBS)
tests_check_swizzle_SOURCES = tests/check_swizzle.c
tests_check_swizzle_LDADD = $(REF_LIBS)

# The fast ways from bf16 to NVFP4 and back against their definitions.
check_PROGRAMS += tests/check_nvfp4_encode tests/check_nvfp4_expand
TESTS += tests/check_nvfp4_encode tests/check_nvfp4_expand
tests_check_nvfp4_expand_SOURCES = tests/check_nvfp4_expand.c
tests_check_nvfp4_expand_LDADD = $(REF_LIBS)
tests_check_nvfp4_encode_SOURCES = tests/check_nvfp4_encode.c
tests_check_nvfp4_encode_LDADD = $(REF_LIBS)

# Capacity, redundant experts, other forms of the permutation.
GATING_TESTS = tests/check_gating_capacity tests/check_permute_forms \
  tests/check_placement
check_PROGRAMS += $(GATING_TESTS)
TESTS += $(GATING_TESTS)
tests_check_gating_capacity_SOURCES = tests/check_gating_capacity.c \
  tests/judge.h
tests_check_gating_capacity_LDADD = $(REF_LIBS)
tests_check_permute_forms_SOURCES = tests/check_permute_forms.c
tests_check_permute_forms_LDADD = $(REF_LIBS)
tests_check_placement_SOURCES = tests/check_placement.c tests/judge.h
tests_check_placement_LDADD = $(REF_LIBS)

# Operand classes of the matmul; with a second BLAS; with a broken bound.
CLASS_TESTS = tests/check_fill_rows \
  tests/check_matmul_bound tests/check_matmul_classes \
  tests/check_matmul_narrow \
  tests/check_matmul_kernels tests/check_matmul_reversed
check_PROGRAMS += $(CLASS_TESTS)
TESTS += $(CLASS_TESTS)
tests_check_fill_rows_SOURCES = tests/check_fill_rows.c
tests_check_fill_rows_LDADD = $(REF_LIBS)
tests_check_matmul_bound_SOURCES = tests/check_matmul_bound.c tests/judge.h
tests_check_matmul_bound_LDADD = $(REF_LIBS)
tests_check_matmul_narrow_SOURCES = tests/check_matmul_narrow.c
tests_check_matmul_narrow_LDADD = $(REF_LIBS)
tests_check_matmul_classes_SOURCES = tests/check_matmul_classes.c \
  tests/judge.h
tests_check_matmul_classes_LDADD = $(REF_LIBS)
tests_check_matmul_kernels_SOURCES = tests/check_matmul_kernels.c \
  tests/judge.h
tests_check_matmul_kernels_LDADD = $(REF_LIBS)
tests_check_matmul_reversed_SOURCES = tests/check_matmul_classes.c \
  tests/judge.h tests/reversed_blas.c
tests_check_matmul_reversed_LDADD = $(REF_LIBS)

# Correct rounding, judged by MPFR alone (tests/judge.h).
ROUNDING_TESTS = tests/check_activation tests/check_combine \
  tests/check_gates \
  tests/check_logits tests/check_route tests/check_route_fast \
  tests/check_score \
  tests/check_weighted_sum
check_PROGRAMS += $(ROUNDING_TESTS)
TESTS += $(ROUNDING_TESTS)
tests_check_activation_SOURCES = tests/check_activation.c tests/judge.h
tests_check_activation_LDADD = $(REF_LIBS)
tests_check_gates_SOURCES = tests/check_gates.c tests/judge.h
tests_check_gates_LDADD = $(REF_LIBS)
tests_check_combine_SOURCES = tests/check_combine.c tests/judge.h
tests_check_combine_LDADD = $(REF_LIBS)
tests_check_logits_SOURCES = tests/check_logits.c tests/judge.h
tests_check_logits_LDADD = $(REF_LIBS)
tests_check_route_SOURCES = tests/check_route.c tests/judge.h
tests_check_route_LDADD = $(REF_LIBS)
tests_check_route_fast_SOURCES = tests/check_route_fast.c tests/judge.h
tests_check_route_fast_LDADD = $(REF_LIBS)
tests_check_score_SOURCES = tests/check_score.c tests/judge.h
tests_check_score_LDADD = $(REF_LIBS)
tests_check_weighted_sum_SOURCES = tests/check_weighted_sum.c tests/judge.h
tests_check_weighted_sum_LDADD = $(REF_LIBS)

# A layer put together in process, against the oracle.
check_PROGRAMS += tests/check_layer_placed
TESTS += tests/check_layer_placed
tests_check_layer_placed_SOURCES = tests/check_layer_placed.c \
  tests/tiny_layer.c tests/tiny_layer.h
tests_check_layer_placed_LDADD = $(REF_LIBS)

check_PROGRAMS += tests/check_layer
TESTS += tests/check_layer
tests_check_layer_SOURCES = tests/check_layer.c tests/tiny_layer.c \
  tests/tiny_layer.h
tests_check_layer_LDADD = $(REF_LIBS)

# What a failed check looks like.
check_PROGRAMS += tests/check_diagnosis tests/check_diagnosis_ranks \
  tests/check_diagnosis_work
TESTS += tests/check_diagnosis tests/check_diagnosis_ranks \
  tests/check_diagnosis_work
tests_check_diagnosis_SOURCES = tests/check_diagnosis.c tests/judge.h \
  tests/diagnosis_cases.c tests/diagnosis_cases.h \
  tests/diagnosis_table.c tests/diagnosis_table.h
tests_check_diagnosis_LDADD = $(REF_LIBS)
tests_check_diagnosis_ranks_SOURCES = tests/check_diagnosis_ranks.c \
  tests/diagnosis_cases.c tests/diagnosis_cases.h \
  tests/diagnosis_ranks.c tests/diagnosis_ranks.h \
  tests/diagnosis_table.c tests/diagnosis_table.h
tests_check_diagnosis_ranks_LDADD = $(REF_LIBS)
tests_check_diagnosis_work_SOURCES = tests/check_diagnosis_work.c \
  tests/diagnosis_cases.c tests/diagnosis_cases.h
tests_check_diagnosis_work_LDADD = $(REF_LIBS)
EXTRA_DIST += tests/diagnosis_expected.csv

# The judge, on a tiny layer and on full-size rows.
check_PROGRAMS += tests/check_judge tests/check_judge_activation \
  tests/check_judge_power tests/check_judge_budget tests/check_judge_route
TESTS += tests/check_judge tests/check_judge_activation \
  tests/check_judge_budget tests/check_judge_power tests/check_judge_route
tests_check_judge_SOURCES = tests/check_judge.c tests/tiny_layer.c \
  tests/tiny_layer.h
tests_check_judge_LDADD = $(REF_LIBS)
tests_check_judge_activation_SOURCES = tests/check_judge_activation.c
tests_check_judge_activation_LDADD = $(REF_LIBS)
tests_check_judge_power_SOURCES = tests/check_judge_power.c \
  tests/fused_kernel.c tests/fused_kernel.h
tests_check_judge_power_LDADD = $(REF_LIBS)
tests_check_judge_budget_SOURCES = tests/check_judge_budget.c
tests_check_judge_budget_LDADD = $(REF_LIBS)
tests_check_judge_route_SOURCES = tests/check_judge_route.c
tests_check_judge_route_LDADD = $(REF_LIBS)

# Data that are exact in any order, against a kernel that has none.
check_PROGRAMS += tests/check_exact_data
TESTS += tests/check_exact_data
tests_check_exact_data_SOURCES = tests/check_exact_data.c \
  tests/fused_kernel.c tests/fused_kernel.h
tests_check_exact_data_LDADD = $(REF_LIBS)

# A method's declaration of its rounding points, against the oracle.
check_PROGRAMS += tests/check_contract
TESTS += tests/check_contract
tests_check_contract_SOURCES = tests/check_contract.c tests/faults.def \
  tests/judge.h tests/tiny_layer.c tests/tiny_layer.h
tests_check_contract_LDADD = $(REF_LIBS)

# Stages against the oracle, and a fault at a time in the stages.
check_PROGRAMS += tests/check_oracle
TESTS += tests/check_oracle
tests_check_oracle_SOURCES = tests/check_oracle.c tests/faults.def \
  tests/judge.h tests/tiny_layer.c tests/tiny_layer.h
tests_check_oracle_LDADD = $(REF_LIBS)

BENCHES += tests/bench/bench_matmul
tests_bench_bench_matmul_SOURCES = tests/bench/bench_matmul.c
tests_bench_bench_matmul_LDADD = ref/libref.la moe/libmoe.la \
  base/libcore.la $(BLAS_LIBS) $(MPFR_LIBS) $(GMP_LIBS) -lm
BENCHES += tests/bench/bench_matmul_float
tests_bench_bench_matmul_float_SOURCES = tests/bench/bench_matmul_float.c
tests_bench_bench_matmul_float_LDADD = ref/libref.la moe/libmoe.la \
  base/libcore.la $(BLAS_LIBS) $(MPFR_LIBS) $(GMP_LIBS) -lm
BENCHES += tests/bench/bench_route
tests_bench_bench_route_SOURCES = tests/bench/bench_route.c
tests_bench_bench_route_LDADD = ref/libref.la moe/libmoe.la \
  base/libcore.la $(BLAS_LIBS) $(MPFR_LIBS) $(GMP_LIBS) -lm
# Judges of formats, routers and a layer with none of our code in them.
FORMAT_JUDGES = tests/check_cuda_headers.sh tests/check_numpy_formats.py \
  tests/check_numpy_layer.py tests/check_torch_layer.py
TESTS += $(FORMAT_JUDGES)
EXTRA_DIST += $(FORMAT_JUDGES) tests/cuda_elements.cc tests/numpy_nvfp4.py \
  tests/numpy_route.py

BENCHES += tests/bench/bench_quantize
tests_bench_bench_quantize_SOURCES = tests/bench/bench_quantize.c
tests_bench_bench_quantize_LDADD = ref/libref.la moe/libmoe.la \
  base/libcore.la $(BLAS_LIBS) $(MPFR_LIBS) $(GMP_LIBS) -lm
