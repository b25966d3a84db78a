# SPDX-License-Identifier: Apache-2.0
# The header that is installed: ref/moeref.h with its parts, each once, where it
# includes them. folder: where they stand.
function put(file,   line, name, got) {
    if (file in done) {
        return
    }
    done[file] = 1
    while ((got = getline line < file) > 0) {
        if (line ~ /^#include "moeref_/) {
            split(line, name, "\"")
            put(folder "/" name[2])
        } else if (line !~ /SPDX-License-Identifier/) {
            print line
        }
    }
    if (got < 0) {
        print file ": cannot be read" >"/dev/stderr"
        exit 1
    }
    close(file)
}
/^#include "moeref_/ {
    split($0, name, "\"")
    put(folder "/" name[2])
    next
}
{ print }
