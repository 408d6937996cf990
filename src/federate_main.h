/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_FEDERATE_MAIN_H
#define CAIRN_FEDERATE_MAIN_H

int federate_main(int argc, char **argv); /* `cairn federate`; argv from "federate" on */

#endif
