# The program. All but main.c is in libsim, so that tests can link it.
noinst_LTLIBRARIES += sim/libsim.la

sim_libsim_la_SOURCES = \
  sim/methods/registry.c \
  sim/methods/registry.h

# Scenarios: the table of keys, the reader, the parts, the printer.
sim_libsim_la_SOURCES += \
  sim/ascend.c \
  sim/ascend.def \
  sim/ascend.h \
  sim/ascend_device.def \
  sim/ascend_method.def \
  sim/chain_print.c \
  sim/data.h \
  sim/data_find.c \
  sim/data_list.c \
  sim/data_places.c \
  sim/field_print.c \
  sim/field_print.h \
  sim/number.c \
  sim/number.h \
  sim/reader.c \
  sim/reader.h \
  sim/reader_section.c \
  sim/reader_value.c \
  sim/scenario.c \
  sim/scenario.h \
  sim/scenario_find.c \
  sim/scenario_label.c \
  sim/scenario_layout.c \
  sim/scenario_machine.c \
  sim/scenario_methods.c \
  sim/scenario_model.c \
  sim/scenario_named.c \
  sim/scenario_own_layout.c \
  sim/scenario_parts.h \
  sim/scenario_placement.c \
  sim/scenario_precision.c \
  sim/scenario_print.c \
  sim/scenario_published.c \
  sim/scenario_read.c \
  sim/scenario_relay.c \
  sim/scenario_select.c \
  sim/scenario_sweep.c \
  sim/scenario_tensors.c \
  sim/scenario_workload.c \
  sim/schema.c \
  sim/schema.def \
  sim/schema.h \
  sim/schema_markdown.c \
  sim/section.def \
  sim/select.h \
  sim/selection.c \
  sim/selection.h \
  sim/yaml_print.c \
  sim/yaml_print.h

sim_libsim_la_SOURCES += \
  sim/cmd_run.c \
  sim/run_claim.c \
  sim/run_claim.h \
  sim/run_files.c \
  sim/run_files.h \
  sim/run_folder.c \
  sim/run_golden.c \
  sim/run_folder.h \
  sim/run_gating.c \
  sim/run_gating_report.c \
  sim/run_gating.h \
  sim/run_inputs.c \
  sim/run_inputs.h \
  sim/run_job.h \
  sim/run_janitor.c \
  sim/run_janitor.h \
  sim/run_join.c \
  sim/run_join.h \
  sim/run_methods.c \
  sim/run_oracle.c \
  sim/run_need.c \
  sim/run_need.h \
  sim/run_output.c \
  sim/run_output.h \
  sim/run_place.c \
  sim/run_plan.c \
  sim/run_rank.c \
  sim/run_report.c \
  sim/run_routing.c \
  sim/run_sample.c \
  sim/run_sample.h \
  sim/run_select.c \
  sim/run_sweep.c \
  sim/run_sweep.h \
  sim/sweep_json.c \
  sim/sweep_json.h \
  sim/run_router_file.c \
  sim/run_verdict.c \
  sim/run_verdict.h
sim_libsim_la_LIBADD = $(METHOD_OBJECTS)
sim_libsim_la_DEPENDENCIES = $(METHOD_OBJECTS) sim/methods/methods.def

# The command line, price, list, doctor.
sim_libsim_la_SOURCES += \
  sim/cmd_doctor.c \
  sim/cmd_list.c \
  sim/cmd_price.c \
  sim/command.h \
  sim/command_failed.c \
  sim/contract_json.c \
  sim/doctor.def \
  sim/doctor.h \
  sim/doctor_blas.c \
  sim/doctor_blas_test.c \
  sim/doctor_child.c \
  sim/doctor_machine.c \
  sim/doctor_software.c \
  sim/list.h \
  sim/list_files.c \
  sim/list_items.c \
  sim/list_words.c \
  sim/lists.def \
  sim/memory.c \
  sim/memory.h \
  sim/options.c \
  sim/options.def \
  sim/options.h \
  sim/options_help.c \
  sim/options_scenario.c \
  sim/options_table.c \
  sim/options_value.c \
  sim/price_draws.c \
  sim/price_draws.h \
  sim/price_fits.c \
  sim/price_fits.h \
  sim/price_json.c \
  sim/price_json.h \
  sim/price_methods.c \
  sim/price_methods.h \
  sim/published.c \
  sim/report_head.c \
  sim/report_head.h \
  sim/report_write.c \
  sim/sweep.c \
  sim/sweep.h \
  sim/trace_file.c \
  sim/trace_file.h \
  sim/trace_json.c \
  sim/trace_json.h \
  sim/verbs.def

# Judging: golden folders, check.
sim_libsim_la_SOURCES += \
  sim/check.h \
  sim/check_bare.c \
  sim/check_diagnosis.c \
  sim/check_rank.c \
  sim/check_rows.c \
  sim/check_tensor.c \
  sim/check_verdict.c \
  sim/cmd_check.c \
  sim/golden_read.c \
  sim/golden_read.h \
  sim/layer_case.c \
  sim/layer_case.h

# op: the reference's operations one by one.
sim_libsim_la_SOURCES += \
  sim/cmd_golden.c \
  sim/cmd_op.c \
  sim/golden.h \
  sim/golden_manifest.c \
  sim/golden_rank.c \
  sim/golden_tap.c \
  sim/golden_tap.h \
  sim/golden_weights.c \
  sim/op.def \
  sim/op.h \
  sim/op_convert.c \
  sim/op_expert.c \
  sim/op_expert.h \
  sim/op_layer.c \
  sim/op_model.c \
  sim/op_quantize.c \
  sim/op_route.c \
  sim/op_settings.c \
  sim/op_tensor.c

# check, on golden folders that golden makes.
TESTS += tests/e2e/judge.sh
EXTRA_DIST += tests/e2e/judge.sh tests/e2e/spoil.py

# Ranks and who watches them.
sim_libsim_la_SOURCES += \
  sim/failure.c \
  sim/failure.h \
  sim/launch.c \
  sim/launch.h \
  sim/supervise.c \
  sim/supervise.h \
  sim/supervise_parts.h \
  sim/supervise_shared.c \
  sim/supervise_show.c \
  sim/supervise_start.c \
  sim/supervise_verdict.c sim/supervise_watch.c

# The supervisor's suite starts ranks of a program that misbehaves.
check_PROGRAMS += tests/check_supervise tests/check_watch tests/rank_probe
TESTS += tests/check_supervise tests/check_watch
SUPERVISE_LDADD = sim/libsim.la reports/libreports.la models/libmodels.la \
  gpu/libgpu.la ref/mpi/librefmpi.la ref/libref.la moe/libmoe.la \
  base/libbase.la $(CHECK_LIBS) $(MPI_LIBS) $(BLAS_LIBS) $(MPFR_LIBS) \
  $(GMP_LIBS) $(YAML_LIBS) $(JANSSON_LIBS) $(LIBMD_LIBS) -lm
tests_check_supervise_SOURCES = tests/check_supervise.c
tests_check_supervise_LDADD = $(SUPERVISE_LDADD)
tests_check_watch_SOURCES = tests/check_watch.c
tests_check_watch_LDADD = $(SUPERVISE_LDADD)
tests_rank_probe_SOURCES = tests/rank_probe.c
tests_rank_probe_LDADD = $(SUPERVISE_LDADD)

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
tests_check_own_inputs_mpi4_LDADD = $(SUPERVISE_LDADD)

# Other calls than a method makes: what follows them.
CALL_TESTS = tests/check_calls tests/check_calls_entered.mpi4
check_PROGRAMS += $(CALL_TESTS)
TESTS += $(CALL_TESTS)
CALL_TEST_SOURCES = tests/call_lines.c tests/call_lines.h \
  tests/call_probe.c tests/call_probe.h tests/layers.c tests/layers.h
WRAPPED_CALLS = $(AM_LDFLAGS) -Wl,--wrap=moe_ctx_do,--wrap=moe_release
tests_check_calls_SOURCES = tests/check_calls.c $(CALL_TEST_SOURCES)
tests_check_calls_LDFLAGS = $(WRAPPED_CALLS)
tests_check_calls_LDADD = $(SUPERVISE_LDADD)
tests_check_calls_entered_mpi4_SOURCES = tests/check_calls_entered.c \
  tests/rank_setup.c tests/rank_setup.h tests/scenarios.c tests/scenarios.h \
  $(CALL_TEST_SOURCES) $(MPI_TEST_SOURCES)
tests_check_calls_entered_mpi4_LDFLAGS = $(WRAPPED_CALLS)
tests_check_calls_entered_mpi4_LDADD = $(SUPERVISE_LDADD)

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

EXTRA_DIST += sim/README.md sim/methods/README.md sim/methods/methods.def \
  $(METHODS:%=sim/methods/%.c)
CLEANFILES += $(METHOD_DEPFILES)

# The command line's own tests, man page and completion.
completiondir = $(datadir)/bash-completion/completions
dist_completion_DATA = doc/completion/moesim

TESTS += tests/e2e/selection.sh tests/check_options tests/check_sweep \
  tests/check_doctor \
  tests/check_select tests/check_memory \
  tests/e2e/command_line.sh tests/e2e/price.sh
check_PROGRAMS += tests/check_options tests/check_sweep tests/check_doctor \
  tests/check_select tests/check_memory \
  tests/report_judge
EXTRA_DIST += tests/e2e/command_line.sh tests/e2e/price.sh \
  tests/e2e/selection.sh
tests_check_options_SOURCES = tests/check_options.c
tests_check_options_LDADD = $(moesim_LDADD) $(CHECK_LIBS)
tests_check_sweep_SOURCES = tests/check_sweep.c
tests_check_sweep_LDADD = $(moesim_LDADD) $(CHECK_LIBS)
tests_check_select_SOURCES = tests/check_select.c tests/scenarios.c \
  tests/scenarios.h
tests_check_select_LDADD = $(moesim_LDADD) $(CHECK_LIBS)
tests_check_memory_SOURCES = tests/check_memory.c
tests_check_memory_LDADD = $(moesim_LDADD) $(CHECK_LIBS)
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
tests_check_schema_LDADD = $(moesim_LDADD) $(CHECK_LIBS)
tests_check_data_SOURCES = tests/check_data.c tests/scenarios.c \
  tests/scenarios.h
tests_check_data_LDADD = $(moesim_LDADD) $(CHECK_LIBS)
tests_check_scenario_SOURCES = tests/check_scenario.c tests/scenarios.c \
  tests/scenarios.h
tests_check_scenario_LDADD = $(moesim_LDADD) $(CHECK_LIBS)
tests_check_scenario_errors_SOURCES = tests/check_scenario_errors.c \
  tests/scenarios.c tests/scenarios.h
tests_check_scenario_errors_LDADD = $(moesim_LDADD) $(CHECK_LIBS)
tests_check_scenario_hostile_SOURCES = tests/check_scenario_hostile.c \
  tests/scenarios.c tests/scenarios.h
tests_check_scenario_hostile_LDADD = $(moesim_LDADD) $(CHECK_LIBS)
EXTRA_DIST += tests/fixtures/scenario/bad.expect \
  tests/fixtures/scenario/bad.yaml tests/fixtures/scenario/good.yaml \
  tests/fixtures/scenario/select.yaml tests/select_cases.def
CLEANFILES += scenario_keys.md
