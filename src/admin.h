/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_ADMIN_H
#define CAIRN_ADMIN_H

/* cairn admin: people, organisations and tokens; argv[0] is "admin". Exit status 0, 1 when it cannot be done, 2 when
 * misused. */
int admin_main(int argc, char **argv);

#endif
