/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "bom/licence.h"

/*
 * Those of the cards' identifiers that SPDX lists under the same name. Of the GNU licences SPDX lists both the plain names
 * (as deprecated) and finer ones, "-only" and "-or-later": a card does not say which of them is meant, so neither do we.
 */
static const char *const spdx[] = {
    "AFL-3.0",
    "AGPL-3.0",
    "Apache-2.0",
    "Artistic-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSD-3-Clause-Clear",
    "BSL-1.0",
    "C-UDA-1.0",
    "CC-BY-2.0",
    "CC-BY-2.5",
    "CC-BY-3.0",
    "CC-BY-4.0",
    "CC-BY-NC-2.0",
    "CC-BY-NC-3.0",
    "CC-BY-NC-4.0",
    "CC-BY-NC-ND-3.0",
    "CC-BY-NC-ND-4.0",
    "CC-BY-NC-SA-2.0",
    "CC-BY-NC-SA-3.0",
    "CC-BY-NC-SA-4.0",
    "CC-BY-ND-4.0",
    "CC-BY-SA-3.0",
    "CC-BY-SA-4.0",
    "CC0-1.0",
    "CDLA-Permissive-1.0",
    "CDLA-Permissive-2.0",
    "CDLA-Sharing-1.0",
    "ECL-2.0",
    "EPL-1.0",
    "EPL-2.0",
    "etalab-2.0",
    "EUPL-1.1",
    "EUPL-1.2",
    "GPL-2.0",
    "GPL-3.0",
    "ISC",
    "LGPL-2.1",
    "LGPL-3.0",
    "LPPL-1.3c",
    "MIT",
    "MPL-2.0",
    "MS-PL",
    "NCSA",
    "OFL-1.1",
    "OSL-3.0",
    "PostgreSQL",
    "Unlicense",
    "WTFPL",
    "Zlib",
};

/* The cards leave the version out where there is only one. */
static const struct {
    const char *card, *spdx;
} others[] = {{"c-uda", "C-UDA-1.0"}, {"odbl", "ODbL-1.0"}, {"odc-by", "ODC-By-1.0"}, {"pddl", "PDDL-1.0"}};

struct licence licence_of(struct str name)
{
    for (size_t i = 0; i < sizeof spdx / sizeof *spdx; i++)
        if (str_eq_nocase(name, str_of(spdx[i])))
            return (struct licence){name, str_of(spdx[i])};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (str_eq(name, str_of(others[i].card)))
            return (struct licence){name, str_of(others[i].spdx)};
    return (struct licence){name, {0}};
}
