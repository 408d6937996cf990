/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_SIGN_MAIN_H
#define CAIRN_SIGN_MAIN_H

int sign_main(int argc, char **argv); /* cairn sign */

#endif
