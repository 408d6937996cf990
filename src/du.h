/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_DU_H
#define CAIRN_DU_H

/* cairn du. Returns an exit status and works while the server runs. */
int du_main(int argc, char **argv);

#endif
