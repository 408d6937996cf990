/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_HOUSE_MAIN_H
#define CAIRN_HOUSE_MAIN_H

int house_main(int argc, char **argv);

#endif
