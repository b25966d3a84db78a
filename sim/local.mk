# The program. All but main.c is in libsim, so that tests can link it.
noinst_LTLIBRARIES += sim/libsim.la

sim_libsim_la_SOURCES =

sim_libsim_la_SOURCES += \
  sim/data/data.h sim/data/find.c sim/data/list.c sim/data/places.c

sim_libsim_la_SOURCES += \
  sim/scenario/ascend.c sim/scenario/ascend.def sim/scenario/ascend.h \
  sim/scenario/ascend_device.def sim/scenario/ascend_method.def \
  sim/scenario/chain_print.c sim/scenario/field_print.c \
  sim/scenario/field_print.h sim/scenario/find.c sim/scenario/label.c \
  sim/scenario/layout.c sim/scenario/machine.c sim/scenario/methods.c \
  sim/scenario/model.c sim/scenario/named.c sim/scenario/number.c \
  sim/scenario/number.h sim/scenario/option_use.c \
  sim/scenario/option_use.def sim/scenario/own_layout.c sim/scenario/parts.h \
  sim/scenario/placement.c sim/scenario/precision.c sim/scenario/print.c \
  sim/scenario/published.c sim/scenario/quantity.def sim/scenario/read.c \
  sim/scenario/reader.c \
  sim/scenario/reader.h sim/scenario/reader_section.c \
  sim/scenario/reader_value.c sim/scenario/relay.c sim/scenario/scenario.c \
  sim/scenario/scenario.h sim/scenario/schema.c sim/scenario/schema.def \
  sim/scenario/schema.h sim/scenario/schema_markdown.c \
  sim/scenario/section.def sim/scenario/select.h \
  sim/scenario/select_rule.c sim/scenario/sweep_keys.c \
  sim/scenario/tensors.c sim/scenario/workload.c sim/scenario/yaml_print.c \
  sim/scenario/yaml_print.h

sim_libsim_la_SOURCES += \
  sim/options/command.h sim/options/help.c sim/options/options.c \
  sim/options/options.def sim/options/options.h sim/options/scenario.c \
  sim/options/sweep.c sim/options/sweep.h sim/options/table.c \
  sim/options/value.c sim/options/verbs.def

sim_libsim_la_SOURCES += \
  sim/launch/failure.c sim/launch/failure.h sim/launch/launch.c \
  sim/launch/launch.h sim/launch/memory.c sim/launch/memory.h \
  sim/launch/supervise.c sim/launch/supervise.h \
  sim/launch/supervise_noise.c sim/launch/supervise_parts.h \
  sim/launch/supervise_shared.c sim/launch/supervise_show.c \
  sim/launch/supervise_signals.c sim/launch/supervise_start.c \
  sim/launch/supervise_verdict.c sim/launch/supervise_watch.c

sim_libsim_la_SOURCES += \
  sim/report/claim.c sim/report/claim.h sim/report/contract_json.c \
  sim/report/folder.c sim/report/folder.h sim/report/head.c \
  sim/report/head.h sim/report/method_json.c sim/report/method_json.h \
  sim/report/published.c sim/report/sweep_json.c sim/report/sweep_json.h \
  sim/report/write.c sim/report/write_folder.c

sim_libsim_la_SOURCES += \
  sim/inputs/hidden.c sim/inputs/inputs.c sim/inputs/inputs.h \
  sim/inputs/layer_feed.c sim/inputs/layer_feed.h sim/inputs/routing_file.c \
  sim/inputs/routing_join.c

sim_libsim_la_SOURCES += \
  sim/price/draws.c sim/price/draws.h sim/price/fits.c sim/price/fits.h \
  sim/price/methods.c sim/price/methods.h sim/price/selection.c \
  sim/price/selection.h sim/price/trace_file.c sim/price/trace_file.h \
  sim/price/trace_json.c sim/price/trace_json.h

sim_libsim_la_SOURCES += \
  sim/golden/biases.c sim/golden/bounds.c sim/golden/gate.c sim/golden/gate.h \
  sim/golden/gate_file.c sim/golden/gather.c sim/golden/golden.h \
  sim/golden/manifest.c sim/golden/names.c sim/golden/rank.c \
  sim/golden/read.c sim/golden/read.h sim/golden/route.c sim/golden/tap.c \
  sim/golden/tap.h sim/golden/tap_hold.c sim/golden/weights.c

sim_libsim_la_SOURCES += \
  sim/run/differences.c sim/run/files.c sim/run/files.h sim/run/gating.c \
  sim/run/gating.h sim/run/gating_report.c sim/run/golden.c sim/run/janitor.c \
  sim/run/janitor.h sim/run/job.h sim/run/join.c sim/run/join.h \
  sim/run/methods.c sim/run/need.c sim/run/need.h sim/run/oracle.c \
  sim/run/output.c sim/run/output.h sim/run/place.c sim/run/plan.c \
  sim/run/rank.c sim/run/report.c sim/run/sample.c sim/run/sample.h \
  sim/run/select.c sim/run/sweep.c sim/run/sweep.h sim/run/verdict.c \
  sim/run/verdict.h

sim_libsim_la_SOURCES += \
  sim/check/again.c sim/check/bare.c sim/check/check.h \
  sim/check/diagnosis.c sim/check/gate.c sim/check/gate.h \
  sim/check/gather.c \
  sim/check/gate_given.c sim/check/gate_inside.h sim/check/integers.c \
  sim/check/names.c sim/check/names.h sim/check/narrow.c sim/check/part.h \
  sim/check/placed.c sim/check/placed.h sim/check/race.c \
  sim/check/race_inside.h sim/check/race_rows.c sim/check/rank.c \
  sim/check/routed.c sim/check/rows.c sim/check/tensor.c sim/check/told.c \
  sim/check/told.h sim/check/verdict.c

sim_libsim_la_SOURCES += \
  sim/op/convert.c sim/op/expert.c sim/op/expert.h sim/op/forms.c \
  sim/op/forms.h sim/op/layer.c sim/op/model.c sim/op/op.def \
  sim/op/op.h sim/op/quantize.c sim/op/route.c sim/op/settings.c \
  sim/op/tensor.c

sim_libsim_la_SOURCES += \
  sim/list/files.c sim/list/items.c sim/list/list.h sim/list/lists.def \
  sim/list/words.c

sim_libsim_la_SOURCES += \
  sim/doctor/blas.c sim/doctor/blas_test.c sim/doctor/child.c \
  sim/doctor/doctor.def sim/doctor/doctor.h sim/doctor/machine.c \
  sim/doctor/software.c

sim_libsim_la_SOURCES += \
  sim/cmd_check.c sim/cmd_doctor.c sim/cmd_golden.c sim/cmd_list.c \
  sim/cmd_op.c sim/cmd_price.c sim/cmd_run.c sim/command_failed.c

sim_libsim_la_SOURCES += \
  sim/methods/registry.c sim/methods/registry.h

sim_libsim_la_LIBADD = $(METHOD_OBJECTS)
sim_libsim_la_DEPENDENCIES = $(METHOD_OBJECTS) sim/methods/methods.def

bin_PROGRAMS += moesim
moesim_SOURCES = sim/main.c
moesim_LDADD = sim/libsim.la reports/libreports.la models/libmodels.la \
  gpu/libgpu.la ref/mpi/librefmpi.la ref/libref.la moe/libmoe.la \
  base/libbase.la $(MPI_LIBS) $(BLAS_LIBS) $(MPFR_LIBS) $(GMP_LIBS) \
  $(YAML_LIBS) $(JANSSON_LIBS) $(LIBMD_LIBS) -lm

# Methods: sim/methods/methods.def is the one list. GNU make reads it, so a
# method is added or deleted by its file and its line there.
METHODS := $(shell $(SED) -n 's/^MOE_METHOD(\([a-z0-9_]*\)).*/\1/p' \
  $(srcdir)/sim/methods/methods.def)
METHOD_DEPFILES = $(METHODS:%=sim/methods/%.d)

$(METHOD_OBJECTS): sim/methods/%.lo: sim/methods/%.c
	$(AM_V_CC)$(MKDIR_P) $(@D) && $(LTCOMPILE) -MD -MP \
	  -MF sim/methods/$*.d -MT $@ -c -o $@ $<
-include $(METHOD_DEPFILES)

EXTRA_DIST += sim/README.md sim/methods/README.md \
  sim/data/README.md sim/scenario/README.md sim/options/README.md \
  sim/launch/README.md sim/report/README.md sim/inputs/README.md \
  sim/price/README.md sim/golden/README.md sim/run/README.md \
  sim/check/README.md sim/op/README.md sim/list/README.md \
  sim/doctor/README.md \
  sim/methods/methods.def \
  $(METHODS:%=sim/methods/%.c)
CLEANFILES += $(METHOD_DEPFILES)

completiondir = $(datadir)/bash-completion/completions
dist_completion_DATA = doc/completion/moesim

# --- its tests

# The supervisor's suite starts ranks of a program that misbehaves.
check_PROGRAMS += tests/check_supervise tests/check_watch tests/check_hang \
  tests/rank_probe
TESTS += tests/check_watch tests/check_hang
SIM_TEST_LDADD = $(moesim_LDADD) $(CHECK_LIBS)
tests_check_supervise_SOURCES = tests/check_supervise.c
tests_check_supervise_LDADD = $(SIM_TEST_LDADD)
WATCHED = tests/watched.c tests/watched.h
tests_check_watch_SOURCES = tests/check_watch.c $(WATCHED)
tests_check_watch_LDADD = $(SIM_TEST_LDADD)
tests_check_hang_SOURCES = tests/check_hang.c $(WATCHED)
tests_check_hang_LDADD = $(SIM_TEST_LDADD)
tests_rank_probe_SOURCES = tests/rank_probe.c
tests_rank_probe_LDADD = $(SIM_TEST_LDADD)

# What each rank makes, with a probe before the functions that make it.
check_PROGRAMS += tests/check_own_inputs.mpi4
TESTS += tests/check_own_inputs.mpi4
tests_check_own_inputs_mpi4_SOURCES = tests/check_own_inputs.c \
  tests/draw_probe.c tests/draw_probe.h \
  tests/rank_setup.c tests/rank_setup.h \
  tests/layers.c tests/layers.h tests/scenarios.c tests/scenarios.h \
  $(MPI_TEST_SOURCES)
tests_check_own_inputs_mpi4_LDFLAGS = $(AM_LDFLAGS) \
  -Wl,--wrap=moe_fill_hidden \
  -Wl,--wrap=moe_fill_weight_codes,--wrap=moe_fill_weight_scales \
  -Wl,--wrap=moe_fill_panel_codes,--wrap=moe_fill_panel_scales \
  -Wl,--wrap=moe_fill_rows,--wrap=moe_fill_expert_bias \
  -Wl,--wrap=moe_grid_hidden,--wrap=moe_grid_row
tests_check_own_inputs_mpi4_LDADD = $(SIM_TEST_LDADD)

# Other calls than a method makes: what follows them.
CALL_TESTS = tests/check_calls tests/check_calls_entered.mpi4
check_PROGRAMS += $(CALL_TESTS)
TESTS += $(CALL_TESTS)
CALL_TEST_SOURCES = tests/call_lines.c tests/call_lines.h \
  tests/call_probe.c tests/call_probe.h tests/layers.c tests/layers.h
WRAPPED_CALLS = $(AM_LDFLAGS) -Wl,--wrap=moe_ctx_do,--wrap=moe_release
tests_check_calls_SOURCES = tests/check_calls.c $(CALL_TEST_SOURCES)
tests_check_calls_LDFLAGS = $(WRAPPED_CALLS)
tests_check_calls_LDADD = $(SIM_TEST_LDADD)
tests_check_calls_entered_mpi4_SOURCES = tests/check_calls_entered.c \
  tests/rank_setup.c tests/rank_setup.h tests/scenarios.c tests/scenarios.h \
  $(CALL_TEST_SOURCES) $(MPI_TEST_SOURCES)
tests_check_calls_entered_mpi4_LDFLAGS = $(WRAPPED_CALLS)
tests_check_calls_entered_mpi4_LDADD = $(SIM_TEST_LDADD)

# The command line, selection, memory, doctor.
COMMAND_TESTS = tests/check_options tests/check_sweep tests/check_doctor \
  tests/check_select tests/check_memory
check_PROGRAMS += $(COMMAND_TESTS) tests/report_judge
TESTS += $(COMMAND_TESTS)
tests_check_options_SOURCES = tests/check_options.c
tests_check_options_LDADD = $(SIM_TEST_LDADD)
tests_check_sweep_SOURCES = tests/check_sweep.c
tests_check_sweep_LDADD = $(SIM_TEST_LDADD)
tests_check_select_SOURCES = tests/check_select.c tests/scenarios.c \
  tests/scenarios.h
tests_check_select_LDADD = $(SIM_TEST_LDADD)
tests_check_memory_SOURCES = tests/check_memory.c
tests_check_memory_LDADD = $(SIM_TEST_LDADD)
tests_check_doctor_SOURCES = tests/check_doctor.c
tests_check_doctor_LDADD = sim/libsim.la $(CHECK_LIBS)
tests_report_judge_SOURCES = tests/report_judge.c
tests_report_judge_LDADD = reports/libreports.la base/libbase.la \
  $(JANSSON_LIBS)

# Scenarios: the table of keys, files by name, what is wrong.
SCENARIO_TESTS = tests/check_schema tests/check_data tests/check_scenario \
  tests/check_scenario_errors tests/check_scenario_hostile
check_PROGRAMS += $(SCENARIO_TESTS)
TESTS += $(SCENARIO_TESTS)
tests_check_schema_SOURCES = tests/check_schema.c
tests_check_schema_LDADD = $(SIM_TEST_LDADD)
tests_check_data_SOURCES = tests/check_data.c tests/scenarios.c \
  tests/scenarios.h
tests_check_data_LDADD = $(SIM_TEST_LDADD)
tests_check_scenario_SOURCES = tests/check_scenario.c tests/scenarios.c \
  tests/scenarios.h
tests_check_scenario_LDADD = $(SIM_TEST_LDADD)
tests_check_scenario_errors_SOURCES = tests/check_scenario_errors.c \
  tests/scenarios.c tests/scenarios.h
tests_check_scenario_errors_LDADD = $(SIM_TEST_LDADD)
tests_check_scenario_hostile_SOURCES = tests/check_scenario_hostile.c \
  tests/scenarios.c tests/scenarios.h
tests_check_scenario_hostile_LDADD = $(SIM_TEST_LDADD)
EXTRA_DIST += tests/fixtures/scenario/bad.expect \
  tests/fixtures/scenario/bad.yaml tests/fixtures/scenario/good.yaml \
  tests/fixtures/scenario/select.yaml tests/select_cases.def \
  tests/scenario_errors.def
CLEANFILES += scenario_keys.md
