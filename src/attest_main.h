/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_ATTEST_MAIN_H
#define CAIRN_ATTEST_MAIN_H

/* cairn attest: makes signing keys, and signs statements about commits of a hub. Returns the exit status. */
int attest_main(int argc, char **argv);

#endif
