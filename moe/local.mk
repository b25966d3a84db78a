noinst_LTLIBRARIES += moe/libmoe.la

moe_libmoe_la_SOURCES = \
  moe/activation.def \
  moe/agree.c \
  moe/agree.def \
  moe/backend.h \
  moe/capacity.def \
  moe/chain.c \
  moe/chain.h \
  moe/contract.c \
  moe/contract.h \
  moe/ctx.c \
  moe/ctx.h \
  moe/data.c \
  moe/data.def \
  moe/data.h \
  moe/draw.c \
  moe/draw.h \
  moe/drop.def \
  moe/fill.c \
  moe/fill.h \
  moe/fill_rows.c \
  moe/fill_rows.h \
  moe/format.c \
  moe/format.def \
  moe/format.h \
  moe/gate_up.def \
  moe/gathered.c \
  moe/gathered.h \
  moe/gating.c \
  moe/gating.h \
  moe/grid.c \
  moe/grid.h \
  moe/group.def \
  moe/group_limit.def \
  moe/hop.c \
  moe/hop.h \
  moe/layer.c \
  moe/layer.h \
  moe/layout.c \
  moe/layout.h \
  moe/limit.c \
  moe/limit.h \
  moe/mapping.c \
  moe/mapping.h \
  moe/method.h \
  moe/model.c \
  moe/model.h \
  moe/movement.h \
  moe/needs.c \
  moe/needs.h \
  moe/normal_quantiles.inc \
  moe/op.c \
  moe/op_collective.c \
  moe/op_expert.c \
  moe/op_gating.c \
  moe/op_local.c \
  moe/op_move.c \
  moe/op_record.c \
  moe/operations.h \
  moe/operations_collective.h \
  moe/operations_gating.h \
  moe/padded.c \
  moe/padded.h \
  moe/ops.def \
  moe/option_rows.h \
  moe/order.def \
  moe/options.c \
  moe/pairs.c \
  moe/pairs_counts.c \
  moe/pairs.h \
  moe/placing.def \
  moe/placing.h \
  moe/placed.c \
  moe/placed.h \
  moe/placement.c \
  moe/placement.h \
  moe/plan.h \
  moe/budget.def \
  moe/profile.c \
  moe/profile.def \
  moe/profile.h \
  moe/profile_alias.def \
  moe/rcp_table_file.h \
  moe/replica.def \
  moe/role.def \
  moe/rounding.def \
  moe/routing.c \
  moe/routing.h \
  moe/run_method.c \
  moe/run_method.h \
  moe/sampler.c \
  moe/sampler.def \
  moe/workload.c \
  moe/workload.h \
  moe/score.def \
  moe/stamp.c \
  moe/shared.c \
  moe/shared.h \
  moe/slots.c \
  moe/slots.h \
  moe/stage.def \
  moe/tensor.c \
  moe/tensor.h \
  moe/tp_part.c \
  moe/tp_part.h \
  moe/trace.c \
  moe/trace.h \
  moe/two_level.c \
  moe/two_level.h \
  moe/vocabulary.c \
  moe/vocabulary.h \
  moe/weigh.def

EXTRA_DIST += moe/README.md

check_PROGRAMS += tests/check_fill tests/check_routing tests/check_workload
TESTS += tests/check_fill tests/check_routing tests/check_workload
tests_check_workload_SOURCES = tests/check_workload.c
tests_check_workload_LDADD = moe/libmoe.la base/libcore.la $(CHECK_LIBS) -lm
tests_check_fill_SOURCES = tests/check_fill.c
tests_check_fill_LDADD = moe/libmoe.la base/libcore.la $(CHECK_LIBS) \
  $(MPFR_LIBS) $(GMP_LIBS) -lm
tests_check_routing_SOURCES = tests/check_routing.c
tests_check_routing_LDADD = moe/libmoe.la base/libcore.la $(CHECK_LIBS) -lm

# Experts in slots of ranks.
check_PROGRAMS += tests/check_placed
TESTS += tests/check_placed
tests_check_placed_SOURCES = tests/check_placed.c
tests_check_placed_LDADD = moe/libmoe.la base/libcore.la $(CHECK_LIBS) -lm

BENCHES += tests/bench/bench_fill
tests_bench_bench_fill_SOURCES = tests/bench/bench_fill.c
tests_bench_bench_fill_LDADD = moe/libmoe.la base/libcore.la -lm
