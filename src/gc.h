/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_GC_H
#define CAIRN_GC_H

/* cairn gc. Returns an exit status and works while the server runs. */
int gc_main(int argc, char **argv);

#endif
