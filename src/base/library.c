/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "base/library.h"
#include <dlfcn.h>
#include <stddef.h>

enum status library_load(const char *library, const char *const *names, void **functions, struct error *err)
{
    void *loaded = dlopen(library, RTLD_NOW);
    for (; loaded && *names; names++)
        if (!(*functions++ = dlsym(loaded, *names)))
            loaded = NULL;
    return loaded ? OK : fail(err, UNAVAILABLE, NULL, "A library that this needs cannot be loaded: %s", dlerror());
}
