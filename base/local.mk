# libcore knows neither YAML nor JSON, so that libmoeref needs no more than
# libc, BLAS and MPFR; libbase is all of base/.
noinst_LTLIBRARIES += base/libcore.la base/libbase.la

base_libcore_la_SOURCES = \
  base/checked.h \
  base/dtype.c \
  base/dtype.def \
  base/dtype.h \
  base/status.c \
  base/status.def \
  base/status.h

base_libbase_la_SOURCES = \
  base/diag.h \
  base/outfile.h \
  base/safetensors.h \
  base/yaml.h
base_libbase_la_LIBADD = base/libcore.la $(YAML_LIBS) $(JANSSON_LIBS) \
  $(LIBMD_LIBS)

EXTRA_DIST += base/README.md
