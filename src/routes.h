/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_ROUTES_H
#define CAIRN_ROUTES_H

/* cairn routes: the route table of all parts. argv begins with "routes". Returns the exit status. */
int routes_main(int argc, char **argv);

#endif
