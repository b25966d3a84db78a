noinst_LTLIBRARIES += models/libmodels.la

models_libmodels_la_SOURCES = \
  models/algorithm.def \
  models/backend_meta.h \
  models/machine.h \
  models/price.h \
  models/wire.h

# Machines and models are data: nobase_dist_pkgdata_DATA += models/moe/x.yaml

EXTRA_DIST += models/README.md
