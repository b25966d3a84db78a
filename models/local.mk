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

# Machines and models are data: nobase_dist_pkgdata_DATA += models/moe/x.yaml

EXTRA_DIST += models/README.md

MODELS_CHECK_LIBS = models/libmodels.la moe/libmoe.la base/libbase.la \
  $(CHECK_LIBS)

check_PROGRAMS += tests/check_wire
TESTS += tests/check_wire
tests_check_wire_SOURCES = tests/check_wire.c
tests_check_wire_LDADD = $(MODELS_CHECK_LIBS)
