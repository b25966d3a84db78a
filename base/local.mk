# libcore knows neither YAML nor JSON, so that libmoeref needs no more than
# libc, BLAS and MPFR; libbase is all of base/.
noinst_LTLIBRARIES += base/libcore.la base/libbase.la

base_libcore_la_SOURCES = \
  base/checked.h \
  base/dtype.c \
  base/dtype.def \
  base/dtype.h \
  base/philox.h \
  base/philox.h \
  base/philox_avx2.c \
  base/philox_avx512.c \
  base/philox_lanes.c \
  base/philox_lanes.h \
  base/status.c \
  base/status.def \
  base/status.h \
  base/text.c \
  base/text.h

base_libbase_la_SOURCES = \
  base/diag.c \
  base/diag.h \
  base/digest.c \
  base/digest.h \
  base/folder.c \
  base/hot.h \
  base/infile.c \
  base/infile.h \
  base/key_path.c \
  base/key_path.h \
  base/leave.c \
  base/leave.h \
  base/nearest.c \
  base/outfile.c \
  base/outfile.h \
  base/runstate.c \
  base/runstate.def \
  base/runstate.h \
  base/safetensors.c \
  base/safetensors.h \
  base/safetensors_header.c \
  base/safetensors_header.h \
  base/safetensors_write.c \
  base/safetensors_write.h \
  base/yaml.c \
  base/yaml.h \
  base/yaml_events.c \
  base/yaml_keys.c \
  base/yaml_parse.c \
  base/yaml_problem.c \
  base/yaml_reader.h \
  base/yaml_set.c \
  base/yaml_text.c \
  base/yaml_tree.c \
  base/yaml_tree.h \
  base/yaml_value.c \
  base/yaml_value.h
base_libbase_la_LIBADD = base/libcore.la $(YAML_LIBS) $(JANSSON_LIBS) \
  $(LIBMD_LIBS)

EXTRA_DIST += base/README.md

BASE_TESTS = tests/check_dtype tests/check_status tests/check_philox \
  tests/check_digest tests/check_diag tests/check_yaml \
  tests/check_yaml_value tests/check_yaml_set tests/check_outfile \
  tests/check_safetensors \
  tests/check_runstate
check_PROGRAMS += $(BASE_TESTS)
TESTS += $(BASE_TESTS)
tests_check_dtype_SOURCES = tests/check_dtype.c
tests_check_dtype_LDADD = base/libbase.la $(CHECK_LIBS)
tests_check_status_SOURCES = tests/check_status.c
tests_check_status_LDADD = base/libbase.la $(CHECK_LIBS)
tests_check_philox_SOURCES = tests/check_philox.c
tests_check_philox_LDADD = base/libbase.la $(CHECK_LIBS)
tests_check_digest_SOURCES = tests/check_digest.c
tests_check_digest_LDADD = base/libbase.la $(CHECK_LIBS)
tests_check_diag_SOURCES = tests/check_diag.c
tests_check_diag_LDADD = base/libbase.la $(CHECK_LIBS)
tests_check_yaml_SOURCES = tests/check_yaml.c
tests_check_yaml_LDADD = base/libbase.la $(CHECK_LIBS)
tests_check_yaml_value_SOURCES = tests/check_yaml_value.c
tests_check_yaml_value_LDADD = base/libbase.la $(CHECK_LIBS)
tests_check_yaml_set_SOURCES = tests/check_yaml_set.c
tests_check_yaml_set_LDADD = base/libbase.la $(CHECK_LIBS)
tests_check_outfile_SOURCES = tests/check_outfile.c
tests_check_outfile_LDADD = base/libbase.la $(CHECK_LIBS)
tests_check_safetensors_SOURCES = tests/check_safetensors.c
tests_check_safetensors_LDADD = base/libbase.la $(CHECK_LIBS)
tests_check_runstate_SOURCES = tests/check_runstate.c
tests_check_runstate_LDADD = base/libbase.la $(CHECK_LIBS)
