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
  models/moe/deepseek-v3.2.yaml \
  models/moe/glm-4.5-air.yaml \
  models/moe/glm-4.5.yaml \
  models/moe/glm-4.6.yaml \
  models/moe/glm-5.yaml \
  models/moe/hunyuan-a13b.yaml \
  models/moe/kimi-k2.yaml \
  models/moe/ling-1t.yaml \
  models/moe/ling-mini-2.0.yaml \
  models/moe/mimo-v2-flash.yaml \
  models/moe/minimax-m2.yaml \
  models/moe/minimax-m3.yaml \
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
  $(CHECK_LIBS)

check_PROGRAMS += tests/check_wire
TESTS += tests/check_wire
tests_check_wire_SOURCES = tests/check_wire.c
tests_check_wire_LDADD = $(MODELS_CHECK_LIBS)
