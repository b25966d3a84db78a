# The program as a user runs it.
E2E_TESTS = \
  tests/e2e/run.sh \
  tests/e2e/judge.sh tests/e2e/coded_sums.sh \
  tests/e2e/inputs.sh \
  tests/e2e/faults.sh \
  tests/e2e/nodes.sh \
  tests/e2e/places.sh \
  tests/e2e/monitoring.sh \
  tests/e2e/golden.sh \
  tests/e2e/golden_placed.sh \
  tests/e2e/exact.sh \
  tests/e2e/mapping.sh \
  tests/e2e/slots.sh \
  tests/e2e/capacity.sh \
  tests/e2e/gated.sh \
  tests/e2e/ascend.sh \
  tests/e2e/tensor_parallel.sh \
  tests/e2e/op.sh \
  tests/e2e/blas.sh \
  tests/e2e/placement.sh \
  tests/e2e/selection.sh \
  tests/e2e/command_line.sh \
  tests/e2e/price.sh \
  tests/e2e/differences.sh \
  tests/e2e/formats.sh \
  tests/e2e/table.sh
TESTS += $(E2E_TESTS)
FULL_TESTS += tests/e2e/full.sh tests/e2e/model_kinds.sh \
  tests/e2e/table_full.sh

EXTRA_DIST += tests/e2e/table_full.sh tests/e2e/table_uses.py \
  tests/fixtures/scenario/table.yaml
EXTRA_DIST += $(E2E_TESTS) tests/e2e/full.sh tests/e2e/model_kinds.sh \
  tests/e2e/lib.sh tests/e2e/pair_bytes.py \
  tests/e2e/gating_vectors.py tests/e2e/gated_judge.py \
  tests/e2e/make_inputs.py tests/e2e/method_differences.py \
  tests/e2e/method_uses.py tests/e2e/golden_judge.py \
  tests/e2e/format_judge.py tests/e2e/mapping_judge.py \
  tests/e2e/golden_bounds.py \
  tests/e2e/placed_mistakes.py tests/e2e/placed_judge.py \
  tests/e2e/op_forms.py tests/e2e/op_judge.py tests/e2e/op_layer.py \
  tests/e2e/spoil.py tests/e2e/tensors.py
