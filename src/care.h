/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_CARE_H
#define CAIRN_CARE_H

/* cairn fsck and cairn backup. Both return an exit status and work while the server runs. */
int fsck_main(int argc, char **argv);
int backup_main(int argc, char **argv);

#endif
