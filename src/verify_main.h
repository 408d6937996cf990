/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_VERIFY_MAIN_H
#define CAIRN_VERIFY_MAIN_H

/* cairn verify. Returns an exit status, which is an enum cairn_verdict (include/cairn/verify.h). */
int verify_main(int argc, char **argv);

#endif
