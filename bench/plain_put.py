# SPDX-License-Identifier: GPL-3.0-or-later
"""plain_put.py FILE MIB: what storing bytes safely must cost. SHA-256 by OpenSSL, write, fsync; pieces of 1 MiB from memory, and
no network. Prints wall and CPU seconds; starting Python is not counted."""

import hashlib
import os
import sys
import time

piece = os.urandom(1 << 20)
start, cpu = time.monotonic(), time.process_time()
file = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
digest = hashlib.sha256()
for _ in range(int(sys.argv[2])):
    digest.update(piece)
    os.write(file, piece)
os.fsync(file)
os.close(file)
digest.hexdigest()
print(time.monotonic() - start, time.process_time() - cpu)
