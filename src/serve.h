/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_SERVE_H
#define CAIRN_SERVE_H

/* cairn serve: runs the hub until SIGTERM or SIGINT. Returns an exit status. */
int serve_main(int argc, char **argv);

#endif
