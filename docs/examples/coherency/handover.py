"""The reader and the writer of handover.c in Python, with libflush.so (flush.c) by ctypes.

handover.py write FILE TEXT
handover.py read FILE
"""

import ctypes
import mmap
import os
import pathlib
import struct
import sys
import time

LINE_BYTES = 64
library = ctypes.CDLL(str(pathlib.Path(os.environ.get("FLUSH_DIR", ".")) / "libflush.so"))
for call in (library.famfs_flush_after_write, library.famfs_invalidate_before_read):
    call.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    call.restype = None


def main(order: str, path: str, *rest: str) -> None:
    with open(path, "r+b") as file:
        memory = mmap.mmap(file.fileno(), 0, mmap.MAP_SHARED)
    base = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    if order == "write":
        text = rest[0].encode()
        memory[LINE_BYTES : LINE_BYTES + len(text)] = text
        library.famfs_flush_after_write(base + LINE_BYTES, len(text))
        # One 8-byte store. memory[0:8] = ... is a memcpy, which promises nothing of the kind.
        ctypes.c_uint64.from_buffer(memory).value = len(text)
        library.famfs_flush_after_write(base, 8)
        return
    length = 0
    while length == 0:
        library.famfs_invalidate_before_read(base, 8)
        (length,) = struct.unpack_from("<Q", memory)
        time.sleep(0.001)
    if length > len(memory) - LINE_BYTES:  # another host wrote it: it is input
        sys.exit(f"handover: found a length of {length}, expected at most {len(memory) - LINE_BYTES}")
    library.famfs_invalidate_before_read(base + LINE_BYTES, length)
    print(memory[LINE_BYTES : LINE_BYTES + length].decode())


main(*sys.argv[1:])
