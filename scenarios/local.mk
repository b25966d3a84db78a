# Scenarios are data, installed with their folders and found by name.
nobase_dist_pkgdata_DATA += \
  scenarios/seeds/deepep-readme-ll.yaml \
  scenarios/seeds/deepep-readme.yaml \
  scenarios/seeds/deepspeed-7997.yaml \
  scenarios/seeds/deepspeed-gating-k3.safetensors \
  scenarios/seeds/deepspeed-gating-k3.yaml \
  scenarios/seeds/deepspeed-gating-keep.safetensors \
  scenarios/seeds/deepspeed-gating-keep.yaml \
  scenarios/seeds/deepspeed-gating.safetensors \
  scenarios/seeds/deepspeed-gating.yaml \
  scenarios/seeds/sglang-7667-decode.yaml \
  scenarios/seeds/sglang-7667.yaml \
  scenarios/seeds/trtllm-blog18.yaml \
  scenarios/seeds/vllm-2293-h100.yaml \
  scenarios/seeds/vllm-2293-x4.yaml \
  scenarios/seeds/vllm-2293.yaml \
  scenarios/seeds/vllm-ascend-2469-a3.yaml \
  scenarios/seeds/vllm-ascend-2469.yaml \
  scenarios/tutorial/faithful.yaml \
  scenarios/tutorial/first.yaml \
  scenarios/tutorial/grid.yaml
EXTRA_DIST += scenarios/README.md
