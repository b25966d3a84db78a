# SPDX-License-Identifier: Apache-2.0
# The header that is installed: ref/moeref.h with its parts, each once, where it
# includes them. folder: where they stand.
function put(file,   line, name) {
    if (file in done) {
        return
    }
    done[file] = 1
    while ((getline line < file) > 0) {
        if (line ~ /^#include "moeref_/) {
            split(line, name, "\"")
            put(folder "/" name[2])
        } else if (line !~ /SPDX-License-Identifier/) {
            print line
        }
    }
    close(file)
}
/^#include "moeref_/ {
    split($0, name, "\"")
    put(folder "/" name[2])
    next
}
{ print }
