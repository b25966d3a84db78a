# Fuzz harnesses. "make check" runs each over its corpus once; "make fuzz",
# configured with --enable-fuzzing CC=clang, lets libFuzzer grow it.
FUZZ_COMMON = tests/fuzz/fuzz.c tests/fuzz/fuzz.h
# The whole program but main(): what a scenario names is checked everywhere.
FUZZ_SIM_LIBS = $(moesim_LDADD)

FUZZ_REPLAYS = tests/fuzz/replay_yaml tests/fuzz/replay_safetensors \
  tests/fuzz/replay_scenario tests/fuzz/replay_manifest
check_PROGRAMS += $(FUZZ_REPLAYS)
TESTS += $(FUZZ_REPLAYS)

tests_fuzz_replay_yaml_SOURCES = tests/fuzz/replay.c tests/fuzz/fuzz_yaml.c \
  $(FUZZ_COMMON)
tests_fuzz_replay_yaml_CPPFLAGS = $(AM_CPPFLAGS) \
  -DFUZZ_CORPUS='"tests/fuzz/fuzz_yaml.corpus"'
tests_fuzz_replay_yaml_LDADD = base/libbase.la -lm

tests_fuzz_replay_safetensors_SOURCES = tests/fuzz/replay.c \
  tests/fuzz/fuzz_safetensors.c $(FUZZ_COMMON)
tests_fuzz_replay_safetensors_CPPFLAGS = $(AM_CPPFLAGS) \
  -DFUZZ_CORPUS='"tests/fuzz/fuzz_safetensors.corpus"'
tests_fuzz_replay_safetensors_LDADD = base/libbase.la

tests_fuzz_replay_scenario_SOURCES = tests/fuzz/replay.c \
  tests/fuzz/fuzz_scenario.c $(FUZZ_COMMON)
tests_fuzz_replay_scenario_CPPFLAGS = $(AM_CPPFLAGS) \
  -DFUZZ_CORPUS='"tests/fuzz/fuzz_scenario.corpus"'
tests_fuzz_replay_scenario_LDADD = $(FUZZ_SIM_LIBS)

tests_fuzz_replay_manifest_SOURCES = tests/fuzz/replay.c \
  tests/fuzz/fuzz_manifest.c $(FUZZ_COMMON)
tests_fuzz_replay_manifest_CPPFLAGS = $(AM_CPPFLAGS) \
  -DFUZZ_CORPUS='"tests/fuzz/fuzz_manifest.corpus"'
tests_fuzz_replay_manifest_LDADD = $(FUZZ_SIM_LIBS)

if FUZZING
FUZZERS += tests/fuzz/fuzz_yaml tests/fuzz/fuzz_safetensors \
  tests/fuzz/fuzz_scenario tests/fuzz/fuzz_manifest
tests_fuzz_fuzz_yaml_SOURCES = tests/fuzz/fuzz_yaml.c $(FUZZ_COMMON)
tests_fuzz_fuzz_yaml_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_yaml_LDADD = base/libbase.la -lm
tests_fuzz_fuzz_safetensors_SOURCES = tests/fuzz/fuzz_safetensors.c \
  $(FUZZ_COMMON)
tests_fuzz_fuzz_safetensors_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_safetensors_LDADD = base/libbase.la
tests_fuzz_fuzz_scenario_SOURCES = tests/fuzz/fuzz_scenario.c $(FUZZ_COMMON)
tests_fuzz_fuzz_scenario_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_scenario_LDADD = $(FUZZ_SIM_LIBS)
tests_fuzz_fuzz_manifest_SOURCES = tests/fuzz/fuzz_manifest.c $(FUZZ_COMMON)
tests_fuzz_fuzz_manifest_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_manifest_LDADD = $(FUZZ_SIM_LIBS)
endif

EXTRA_DIST += tests/fuzz/README.md tests/fuzz/fuzz.sh tests/fuzz/fuzz_yaml.corpus \
  tests/fuzz/fuzz_safetensors.corpus tests/fuzz/fuzz_scenario.corpus \
  tests/fuzz/fuzz_manifest.corpus
