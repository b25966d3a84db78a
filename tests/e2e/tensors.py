# SPDX-License-Identifier: Apache-2.0
"""safetensors by hand: 8 bytes of header length, JSON, data. A tensor is
(dtype, shape, bytes)."""
import json
import os
import struct
import subprocess
import tempfile

LETTER = {"F32": "f", "I32": "i", "I64": "q", "U8": "B", "U16": "H",
          "BF16": "H", "F16": "H", "F8_E4M3": "B", "F8_E5M2": "B",
          "F8_E8M0": "B", "F4": None, "I8": "b"}


def write(path, tensors):
    header, data = {}, b""
    for name, (dtype, shape, raw) in tensors.items():
        header[name] = {"dtype": dtype, "shape": list(shape),
                        "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def read(path):
    raw = open(path, "rb").read()
    n = struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8:8 + n])
    return {name: (t["dtype"], tuple(t["shape"]),
                   raw[8 + n + t["data_offsets"][0]:
                       8 + n + t["data_offsets"][1]])
            for name, t in header.items() if name != "__metadata__"}


def pack(dtype, shape, values):
    return (dtype, shape, struct.pack("<%d%s" % (len(values), LETTER[dtype]),
                                      *values))


def values(tensor):
    dtype, _, raw = tensor
    if dtype == "F4":
        return [c for b in raw for c in (b & 15, b >> 4)]
    size = struct.calcsize(LETTER[dtype])
    return list(struct.unpack("<%d%s" % (len(raw) // size, LETTER[dtype]),
                              raw))


def op(name, tensors, *settings):
    """What `moesim op` makes of tensors."""
    moesim = os.environ.get("MOESIM") or os.path.join(
        os.environ.get("top_builddir", "."), "moesim")
    with tempfile.TemporaryDirectory() as folder:
        given, found = folder + "/in", folder + "/out"
        write(given, tensors)
        command = [moesim, "op", name, "--quiet", "--in", given, "--out", found]
        for setting in settings:
            command += ["--set", setting]
        subprocess.run(command, check=True)
        return read(found)
