/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One NDJSON line of a commit: whatever it holds, what comes out is a path that can be stored, or an error with words.
 */
#include "base/path.h"
#include "hub/commit_line.h"
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_arena struct arena arena = {0};
    auto_buf struct buf content = {0};
    struct commit_line line;
    struct error err = {0};
    enum status status = commit_line_parse(&arena, (struct str){(const char *)data, size}, &line, &content, &err);
    if (status != OK) {
        assert(err.message[0] && err.status == status);
        return 0;
    }
    if (line.kind == LINE_HEADER)
        assert(line.summary.len > 0);
    else
        assert(path_check(line.path, NULL) == OK);
    assert(content.len <= REGULAR_FILE_LIMIT);
    return 0;
}
