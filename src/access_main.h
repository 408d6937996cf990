/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_ACCESS_MAIN_H
#define CAIRN_ACCESS_MAIN_H

/* cairn access: asks a hub for access to a gated repo. Returns the exit status. */
int access_main(int argc, char **argv);

#endif
