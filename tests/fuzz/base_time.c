/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Times from outside: what is read is written back as the same, from 1970 on. */
#include "base/time.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    auto_arena struct arena arena = {0};
    struct str text = {(const char *)data, len};
    int64_t us, again;
    if (!time_read(text, &us) || us < 0)
        return 0;
    struct str written = time_iso(&arena, us);
    if (!time_read(written, &again) || again != us || memcmp(written.data, text.data, 10) != 0)
        abort();
    return 0;
}
