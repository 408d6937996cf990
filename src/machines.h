/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_MACHINES_H
#define CAIRN_MACHINES_H

/* `cairn machines`. */
int machines_main(int argc, char **argv);

#endif
