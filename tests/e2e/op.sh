# SPDX-License-Identifier: Apache-2.0
# moesim op: each operation against definitions in exact arithmetic; bad input
# told at once; nothing overwritten, nothing left behind.
. "${top_srcdir:?}/tests/e2e/lib.sh" || exit 99

export MOESIM
for judge in op_judge op_layer op_forms; do
    "$PYTHON" "$top_srcdir/tests/e2e/$judge.py" "$work" >>"$work/judged" ||
        fail "an operation is not what its definition says"
done
n_pass=$((n_pass + $(grep -c '^pass' "$work/judged")))
n_fail=$((n_fail + $(grep -c '^FAIL' "$work/judged")))
grep '^FAIL' "$work/judged"
rm -f "$work"/*.safetensors

a=$work/a.safetensors
"$PYTHON" - "$a" "$top_srcdir/tests/e2e" <<'END'
import sys
sys.path.insert(0, sys.argv[2])
import tensors as T
scales = {name: T.pack("F32", (1,), [float(name)])
          for name in ("-1", "0", "nan", "inf")}
T.write(sys.argv[1], {**scales, "even": T.pack("F32", (2, 32), [1.0] * 64),
                      "codes": T.pack("U8", (2, 16), [0] * 32),
                      "codes.scale": T.pack("U8", (2, 2), [0] * 4),
                      "x": T.pack("F32", (2, 20), [1.0] * 40),
                      "topk_ids": T.pack("I32", (3, 2), [0] * 6),
                      "bad_ids": T.pack("I32", (2, 2), [0, 1, -7, 2]),
                      "bad_place": T.pack("I64", (2, 2), [0, 1, -1, 2]),
                      "offset": T.pack("I64", (4,), [0, 2, 1, 2]),
                      "short": T.pack("I64", (4,), [0, 1, 1, 1]),
                      "late": T.pack("I64", (4,), [1, 1, 1, 2]),
                      "w": T.pack("F32", (3, 4, 32), [1.0] * 384),
                      "w.decode_scale": T.pack("F32", (1,), [1.0]),
                      "gs": T.pack("F32", (1,), [2.0]),
                      "logits": T.pack("F32", (2, 6), [float("nan")] * 12),
                      "bias": T.pack("F32", (4,), [0.0] * 4)})
END
before=$(sha256sum "$a")
out="--out $work/b.safetensors"

# all problems in one pass, with names, types and shapes
expect 2 "$MOESIM" op quantize --in "$a" $out --to nvfp5 --profile vlm \
    --set spin=1 --tensor x=y
says "^--to: is 'nvfp5'"
says '^spin: is no setting of this operation, expected global_scale'
says "$a: y: is missing, expected rows of"
expect 2 "$MOESIM" op quantize --in "$a" $out --to nvfp4
says ': x: has rows of 20 elements, expected a multiple of 16'
says ': global_scale: is missing'
expect 2 "$MOESIM" op swizzle --in "$a" $out --tensor scale=x --set layout=64x4
says ': x: is F32 \[2\]\[20\], expected one-byte scales'
says "^layout: is '64x4', expected one of 128x4, 8x4"
for scaling in inf 1e39 0 nan; do
    expect 2 "$MOESIM" op route --in "$a" $out --set topk=2 \
        --set "routed_scaling=$scaling"
    says "routed_scaling: is '$scaling', expected a finite number above 0"
done
for scale in -1 0 nan inf 1e39 1x; do
    for profile in te-exact flashinfer-exact fast-rcp-sm90 torchao; do
        expect 2 "$MOESIM" op quantize --in "$a" $out --to nvfp4 \
            --tensor x=even --profile $profile --set "global_scale=$scale"
        says "global_scale: is '$scale', expected a finite number above 0"
    done
    expect 2 "$MOESIM" op dequantize --in "$a" $out --from nvfp4 \
        --tensor y=codes --set "global_scale=$scale"
    says "global_scale: is '$scale', expected a finite number above 0"
done
for scale in -1 0 nan inf; do
    expect 2 "$MOESIM" op quantize --in "$a" $out --to nvfp4 \
        --tensor x=even --tensor "global_scale=$scale" --profile torchao
    says "$a: $scale: is '$scale', expected a finite number above 0"
done
expect 0 "$MOESIM" op quantize --in "$a" $out --to nvfp4 --tensor x=even \
    --set global_scale=1e-3
rm -f "$work/b.safetensors"
# formats without a global scale take none, as a setting or as a tensor
for format in $("$MOESIM" list formats --json - | "$PYTHON" -c '
import json, sys
print(*[f["name"] for f in json.load(sys.stdin)["items"]
        if f["block"] != 0 and not f["global"]])'); do
    expect 2 "$MOESIM" op quantize --in "$a" $out --to "$format" \
        --tensor x=even --set global_scale=2
    says "^global_scale: is '2', expected none: $format has no global scale"
    expect 2 "$MOESIM" op quantize --in "$a" $out --to "$format" \
        --tensor x=even --tensor global_scale=gs
    says ": gs: is F32 \[1\], expected none: $format has no global"
done
expect 2 "$MOESIM" op dequantize --in "$a" $out --from mxfp4 --tensor y=codes \
    --set global_scale=2
says "^global_scale: is '2', expected none: mxfp4 has no global scale"
expect 0 "$MOESIM" op quantize --in "$a" $out --to mxfp4 --tensor x=even
rm -f "$work/b.safetensors"
matmul="op grouped-matmul --in $a $out --from fp32 --tensor x=even"
expect 2 "$MOESIM" $matmul --tensor offset=topk_ids
says ': w.decode_scale: is F32 \[1\], expected none: fp32 has no global scale'
# one bad number: its value, row and slot
matmul="$matmul --tensor w.decode_scale=none"
expect 2 "$MOESIM" $matmul
says ': offset: element 2 is 1 in I64 \[4\], expected 2 to 2: 0, \.\., rows of x'
expect 2 "$MOESIM" $matmul --tensor offset=short
says ': short: element 3 is 1 in I64 \[4\], expected 2 to 2: '
expect 2 "$MOESIM" $matmul --tensor offset=late
says ': late: element 0 is 1 in I64 \[4\], expected 0 to 0: '
expect 2 "$MOESIM" op permute --in "$a" $out --from fp32 --set experts=4 \
    --tensor topk_ids=bad_ids
says ': bad_ids: row 1, slot 0 is -7 in I32 \[2\]\[2\], expected expert ids from'
expect 2 "$MOESIM" op unpermute --in "$a" $out --tensor rows=even \
    --tensor place=bad_place
says ': bad_place: row 1, slot 1 is 2 in I64 \[2\]\[2\], expected one of the 2 rows'
expect 2 "$MOESIM" op route --in "$a" $out --model deepseek-r1
says 'logits: is F32 \[2\]\[6\], expected F32 \[n\]\[256\] of deepseek-r1'
says 'experts|\[6\]' # and nothing of settings that a model of 6 would refuse
expect 2 "$MOESIM" op quantize --in "$a" $out --to nvfp5
says '^--to: ' # once
expect 2 "$MOESIM" op route --in "$a" $out --set topk=9
says '^topk: is 9, expected at most the 6 experts'
says ': bias: is F32 \[4\], expected F32, 6 elements'
expect 2 "$MOESIM" op route --in "$a" $out --set topk=2 --tensor bias=none
says ': logits: row 0, expert 0 is NaN'
expect 2 "$MOESIM" op permute --in "$a" $out --from fp32
says ': topk_ids: is I32 \[3\]\[2\], expected I32 or I64 \[n\]\[k\], n as x has'
says '^experts: is missing'
expect 2 "$MOESIM" op convert --in "$a" $out
says 'expected either --to TYPE'
expect 2 "$MOESIM" op convert --in "$a" $out --to e4m3 --tensor z=x
says "'z' is no argument of convert"
expect 2 "$MOESIM" op permut --in "$a" $out
says "did you mean 'permute'"
expect 2 "$MOESIM" op
says '^--in: is missing'
says '^--out: is missing'
expect 2 "$MOESIM" op convert --in "$work/none" $out --to bf16

# the input stays, under any of its names; nothing half-written
ln -s a.safetensors "$work/link"
for name in "$a" "$work/link" "$work/./a.safetensors"; do
    expect 2 "$MOESIM" op convert --in "$a" --out "$name" --to bf16
    says 'which is never overwritten'
done
[ "$(sha256sum "$a")" = "$before" ] && pass "input kept" || fail "input changed"
[ "$(ls "$work"/b.* "$work"/*tmp* 2>/dev/null)" = "" ] &&
    pass "nothing written" || fail "something was written"
expect 3 "$MOESIM" op convert --in "$a" --out /dev/full --to bf16
expect 3 "$MOESIM" op convert --in "$a" --out "$work/no/b" --to bf16
expect 0 "$MOESIM" op convert --in "$a" $out --to bf16
[ -s "$work/b.safetensors" ] && pass written || fail "nothing written"

expect 0 "$MOESIM" op --help
for name in convert quantize dequantize swizzle unswizzle route permute \
    unpermute grouped-matmul activation moe-layer; do
    grep -q "^  $name$" "$work/stdout" && pass "help $name" || fail "$name"
done
finish
