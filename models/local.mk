noinst_LTLIBRARIES += models/libmodels.la

models_libmodels_la_SOURCES = \
  models/algorithm.def \
  models/backend_meta.h \
  models/machine.c \
  models/machine.h \
  models/price.h \
  models/provenance.def \
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
