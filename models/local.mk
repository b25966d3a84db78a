noinst_LTLIBRARIES += models/libmodels.la

models_libmodels_la_SOURCES = \
  models/algorithm.def \
  models/backend_meta.c \
  models/backend_meta.h \
  models/collectives.c \
  models/compute.c \
  models/cost.c \
  models/cost.h \
  models/machine.c \
  models/machine.h \
  models/meetings.c \
  models/play.c \
  models/price.c \
  models/price.h \
  models/price_inside.h \
  models/price_result.c \
  models/provenance.def \
  models/summary.c \
  models/summary.h \
  models/timeline.c \
  models/timeline.h \
  models/wire.c \
  models/wire.h

# Machines and models are data, installed with their folders.
nobase_dist_pkgdata_DATA += \
  models/machines/atlas-a2.yaml \
  models/machines/atlas-a3.yaml \
  models/machines/dgx-a100.yaml \
  models/machines/dgx-b200.yaml \
  models/machines/dgx-b300.yaml \
  models/machines/dgx-h100.yaml \
  models/machines/dgx-h200.yaml \
  models/machines/gb200-nvl72.yaml \
  models/machines/gb300-nvl72.yaml \
  models/machines/h20.yaml \
  models/machines/h800.yaml \
  models/machines/mi300x.yaml \
  models/machines/mi355x.yaml \
  models/moe/dbrx.yaml \
  models/moe/deepseek-r1.yaml \
  models/moe/deepseek-v2-lite.yaml \
  models/moe/deepseek-v2.yaml \
  models/moe/deepseek-v3.2.yaml \
  models/moe/deepseek-v4-flash.yaml \
  models/moe/deepseek-v4-pro.yaml \
  models/moe/glm-4.5-air.yaml \
  models/moe/glm-4.5.yaml \
  models/moe/glm-4.6.yaml \
  models/moe/glm-5.yaml \
  models/moe/gpt-oss-120b.yaml \
  models/moe/gpt-oss-20b.yaml \
  models/moe/hunyuan-a13b.yaml \
  models/moe/kimi-k2.yaml \
  models/moe/ling-1t.yaml \
  models/moe/ling-mini-2.0.yaml \
  models/moe/llama-4-maverick.yaml \
  models/moe/llama-4-scout.yaml \
  models/moe/mimo-v2-flash.yaml \
  models/moe/minimax-m2.yaml \
  models/moe/minimax-m3.yaml \
  models/moe/pangu-pro-moe.yaml \
  models/moe/mixtral-8x22b.yaml \
  models/moe/mixtral-8x7b.yaml \
  models/moe/qwen1.5-moe-a2.7b.yaml \
  models/moe/qwen2-57b-a14b.yaml \
  models/moe/qwen3-235b-a22b.yaml \
  models/moe/qwen3-30b-a3b.yaml \
  models/moe/qwen3-coder-480b-a35b.yaml \
  models/moe/qwen3-next-80b-a3b.yaml \
  models/moe/qwen3.5-397b-a17b.yaml

EXTRA_DIST += models/README.md

MODELS_CHECK_LIBS = models/libmodels.la moe/libmoe.la base/libbase.la \
  $(CHECK_LIBS) -lm
# Layers, a machine and traces that several suites use.
LAYERS = tests/layers.c tests/layers.h
HAND = $(LAYERS) tests/hand_trace.c tests/hand_trace.h

check_PROGRAMS += tests/check_wire
TESTS += tests/check_wire
tests_check_wire_SOURCES = tests/check_wire.c
tests_check_wire_LDADD = $(MODELS_CHECK_LIBS)

check_PROGRAMS += tests/check_timeline
TESTS += tests/check_timeline
tests_check_timeline_SOURCES = tests/check_timeline.c $(LAYERS)
tests_check_timeline_LDADD = $(MODELS_CHECK_LIBS)

check_PROGRAMS += tests/check_price
TESTS += tests/check_price
tests_check_price_SOURCES = tests/check_price.c $(HAND)
tests_check_price_LDADD = $(MODELS_CHECK_LIBS)

check_PROGRAMS += tests/check_cost
TESTS += tests/check_cost
tests_check_cost_SOURCES = tests/check_cost.c $(HAND)
tests_check_cost_LDADD = $(MODELS_CHECK_LIBS)

check_PROGRAMS += tests/check_meta
TESTS += tests/check_meta
tests_check_meta_SOURCES = tests/check_meta.c $(LAYERS)
tests_check_meta_LDADD = $(MODELS_CHECK_LIBS)

check_PROGRAMS += tests/check_shared
TESTS += tests/check_shared
tests_check_shared_SOURCES = tests/check_shared.c $(LAYERS)
tests_check_shared_LDADD = sim/libsim.la $(MODELS_CHECK_LIBS)

check_PROGRAMS += tests/check_summary
TESTS += tests/check_summary
tests_check_summary_SOURCES = tests/check_summary.c
tests_check_summary_LDADD = $(MODELS_CHECK_LIBS)

check_PROGRAMS += tests/check_methods_meta tests/check_methods_table \
  tests/check_methods_page
TESTS += tests/check_methods_meta tests/check_methods_table \
  tests/check_methods_page
tests_check_methods_table_SOURCES = tests/check_methods_table.c $(LAYERS)
tests_check_methods_table_LDADD = sim/libsim.la $(MODELS_CHECK_LIBS)
tests_check_methods_page_SOURCES = tests/check_methods_page.c $(LAYERS)
tests_check_methods_page_LDADD = sim/libsim.la $(MODELS_CHECK_LIBS)
EXTRA_DIST += tests/methods_table.csv
CLEANFILES += methods_table.csv methods_page.md
tests_check_methods_meta_SOURCES = tests/check_methods_meta.c $(LAYERS)
tests_check_methods_meta_LDADD = sim/libsim.la $(MODELS_CHECK_LIBS)

check_PROGRAMS += tests/check_option_use
TESTS += tests/check_option_use
tests_check_option_use_SOURCES = tests/check_option_use.c $(LAYERS)
tests_check_option_use_LDADD = sim/libsim.la ref/libref.la \
  $(MODELS_CHECK_LIBS) $(BLAS_LIBS) $(MPFR_LIBS) $(GMP_LIBS)

check_PROGRAMS += tests/check_expert_rows
TESTS += tests/check_expert_rows
tests_check_expert_rows_SOURCES = tests/check_expert_rows.c $(LAYERS)
tests_check_expert_rows_LDADD = sim/libsim.la ref/libref.la \
  $(MODELS_CHECK_LIBS) $(BLAS_LIBS) $(MPFR_LIBS) $(GMP_LIBS)

check_PROGRAMS += tests/check_messages
TESTS += tests/check_messages
tests_check_messages_SOURCES = tests/check_messages.c $(LAYERS)
tests_check_messages_LDADD = sim/libsim.la $(MODELS_CHECK_LIBS)

check_PROGRAMS += tests/check_price_methods
TESTS += tests/check_price_methods
tests_check_price_methods_SOURCES = tests/check_price_methods.c $(LAYERS)
tests_check_price_methods_LDADD = sim/libsim.la $(MODELS_CHECK_LIBS)

check_PROGRAMS += tests/check_nccl
TESTS += tests/check_nccl
tests_check_nccl_SOURCES = tests/check_nccl.c
tests_check_nccl_LDADD = $(moesim_LDADD) $(CHECK_LIBS)

check_PROGRAMS += tests/check_trace_json
TESTS += tests/check_trace_json
tests_check_trace_json_SOURCES = tests/check_trace_json.c $(LAYERS)
tests_check_trace_json_LDADD = sim/libsim.la $(MODELS_CHECK_LIBS)

EXTRA_DIST += doc/cost-model.md doc/trace.md
