#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# sim/methods/ and its methods.def are the one list of methods: with any one
# file and its line taken away the program builds and lists one method fewer;
# with a new file and line it lists one more. No makefile is touched. Built
# is one of them, with MOESIM_FULL each; that no object but the registry asks
# for a name that a method defines is seen of all.
set -eu
case " ${MOESIM_LEAVE_OUT:-} " in
*" check_methods "*)
    echo "skipped: left out (MOESIM_LEAVE_OUT)"
    exit 77
    ;;
esac
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
src=$tmp/src
build=$tmp/build
list=sim/methods/methods.def

# A copy of the sources, and one of the build; one for both if it was built
# among its sources.
mkdir "$build"
tar -C "${top_builddir:?}" --exclude=./.git --exclude='./tests/*.o' \
    --exclude=./moesim-out --exclude='./moesim-[0-9]*' -cf - . |
    tar -C "$build" -xf -
if [ "$(cd "$top_builddir" && pwd -P)" = "$(cd "${top_srcdir:?}" && pwd -P)" ]
then
    src=$build
else
    mkdir "$src"
    tar -C "$top_srcdir" --exclude=./.git --exclude='./build*/*' \
        --exclude=./moesim-out --exclude='./moesim-[0-9]*' -cf - . |
        tar -C "$src" -xf -
fi
chmod -R u+w "$tmp"

# What was compiled from the old place of the sources is as good as new.
old=$(sed -n 's/^srcdir = //p' "$build/Makefile")
find "$build" \( -name '*.Po' -o -name '*.Plo' -o -name '*.d' \) -exec \
    sed -i "s#\(^\|[ \t]\)${old//./\\.}/#\1$src/#g" {} +

# Build the program in the copy and name its methods, sorted.
rebuild() {
    rm -f "$build"/sim/methods/registry.lo "$build"/sim/libsim.la
    make -C "$build" -s srcdir="$src" top_srcdir="$src" \
        abs_top_srcdir="$src" VPATH="$src" AUTOCONF=: AUTOMAKE=: \
        ACLOCAL=: AUTOHEADER=: moesim >"$tmp/log" 2>&1 ||
        { cat "$tmp/log" >&2; return 1; }
    "$build/moesim" list methods
}

names() {
    sed -n 's/^MOE_METHOD(\([a-z0-9_]*\)).*/\1/p' "$src/$list"
}

# expect WHAT: the program lists the names of the list, no more, no fewer.
expect() {
    what=$1
    want=$(names | sort)
    # Cards: a name stands alone in the first column.
    got=$(rebuild | sed -n '/^[a-z0-9_]\{1,\}$/p' | sort)
    if [ "$want" != "$got" ]; then
        printf '%s: wanted\n%s\ngot\n%s\n' "$what" "$want" "$got"
        exit 1
    fi
    echo "$what: $(echo "$got" | wc -l) methods"
}

# Names that a method's object defines, and who but the registry asks for one.
alone() {
    find "$build/sim/methods" -name '*.o' ! -name registry.o \
        -exec nm -P -g --defined-only {} + | awk 'NF > 2 {print $1}' |
        sort -u >"$tmp/defined"
    find "$build" -name '*.o' ! -path "$build/tests/*" ! -name registry.o \
        -exec nm -P -A -u {} + | awk '{print $2, $1}' | sort >"$tmp/asked"
    [ "$(wc -l <"$tmp/defined")" -eq "$(names | wc -l)" ] ||
        { echo "names beside the methods:"; cat "$tmp/defined"; exit 1; }
    ! join "$tmp/defined" "$tmp/asked" | grep . || exit 1
    echo "asked for by the registry alone: $(wc -l <"$tmp/defined") methods"
}

taken=$(names)
[ -n "${MOESIM_FULL:-}" ] || taken=$(names | sed -n '$p')
expect "as it is"
alone
cp "$src/$list" "$tmp/list"
for name in $taken; do
    mv "$src/sim/methods/$name.c" "$tmp/method.c"
    sed "/^MOE_METHOD($name)/d" "$tmp/list" >"$src/$list"
    rm -f "$build/sim/methods/$name".*
    expect "without $name"
    mv "$tmp/method.c" "$src/sim/methods/$name.c"
    cp "$tmp/list" "$src/$list"
done

# One more: allgatherv's code with two operations in each other's place. Ledger
# and timeline of the program follow; payload, wire, price and output stay what
# they were. (tests/check_calls.c and check_calls_entered.c do so with every
# method's operations.)
"${PYTHON:-python3}" - "$src/sim/methods" <<'P'
import re
import sys
text = open(sys.argv[1] + "/allgatherv.c").read()
first, second = re.findall(
    r"^ *p->all\.(?:weights|ids) = moe_allgatherv\([^;]*;\n", text, re.M)
text = text.replace(first, "@").replace(second, first).replace("@", second)
text = text.replace("moe_method_allgatherv", "moe_method_another")
text = text.replace('"allgatherv"', '"another"')
open(sys.argv[1] + "/another.c", "w").write(text)
P
echo "MOE_METHOD(another)" >>"$src/$list"
expect "with another"
OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 \
    MOESIM_PATH=$src/models:$src "$build/moesim" run \
    "$src/scenarios/tutorial/first.yaml" --method allgatherv,another \
    --dispatch nvfp4 --quiet -o "$tmp/report"
"${PYTHON:-python3}" - "$tmp/report" <<'P'
import json
import sys
report = json.load(open(sys.argv[1] + "/report.json"))
ledger = [json.loads(x) for x in open(sys.argv[1] + "/ledger.jsonl")]


def types(label):
    return [x["dtype"] for x in ledger
            if x["method"] == label and x["rank"] == 1]


def roles(method):
    return [x["role"] for x in method["timeline"]
            if x["rank"] == 1 and x["op"] == "allgatherv"]


old, new = report["methods"]
assert types(old["label"])[:2] == ["fp32", "i32"], types(old["label"])
assert types(new["label"])[:2] == ["i32", "fp32"], types(new["label"])
assert types(old["label"])[2:] == types(new["label"])[2:]
# A batch is one event, named for its first operation.
assert roles(old)[0] == "topk_weights", roles(old)
assert roles(new)[0] == "topk_ids", roles(new)
for key in "payload_bytes", "wire_sent_bytes", "pair_bytes":
    assert old[key] == new[key], key
assert abs(old["predicted_us"] - new["predicted_us"]) < 1e-6
assert new["identical_to"] == old["label"]
print("two operations swapped: ledger and timeline follow")
P

# A method that returns its input instead of its result: the oracle says so,
# exit status 1, and the report is written.
sed -e 's/moe_method_allgatherv/moe_method_another/; s/"allgatherv"/"another"/' \
    -e 's/moe_output(c, own);/moe_output(c, moe_hidden(c));/' \
    "$src/sim/methods/allgatherv.c" >"$src/sim/methods/another.c"
rm -f "$build/sim/methods/another".*
rebuild >/dev/null
got=0
OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 \
    MOESIM_PATH=$src/models:$src "$build/moesim" run \
    "$src/scenarios/tutorial/first.yaml" --method another \
    --dispatch nvfp4 --quiet -o "$tmp/wrong" 2>"$tmp/said" || got=$?
[ "$got" -eq 1 ] || { echo "a wrong method: exit $got, expected 1"; exit 1; }
grep -q "elements are not the oracle's" "$tmp/said"
[ -s "$tmp/wrong/report.json" ]
echo "a wrong method: exit 1, with a report"
