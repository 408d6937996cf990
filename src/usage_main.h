/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_USAGE_MAIN_H
#define CAIRN_USAGE_MAIN_H

/* cairn usage: what one has at a hub, what is used, and how to have more. Exit status 0, 1 when it cannot be told, 2 when misused. */
int usage_main(int argc, char **argv);

#endif
