"""Make a library that was linked against libcurl's node CURL_OPENSSL_3 ask for CURL_OPENSSL_4, in place.

usage: retarget_curl.py LIBRARY

Debian renamed the node when libcurl moved to OpenSSL 1.1, because objects of OpenSSL can be reached through
libcurl's options. libmesos uses seven functions and none of those options, so the system's libcurl.so.4
serves it as it is. The names have the same length: the string and its hash are all that changes.
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path

OLD, NEW = b"CURL_OPENSSL_3", b"CURL_OPENSSL_4"


def elf_hash(name: bytes) -> int:
    """The System V hash by which the dynamic linker compares version names."""
    value = 0
    for byte in name:
        value = (value << 4) + byte
        high = value & 0xF0000000
        value = (value ^ (high >> 24)) & ~high
    return value


def retargeted(library: bytes) -> bytes:
    """The bytes of `library` with the node renamed; ValueError unless it is needed exactly once."""
    name = b"\0" + OLD + b"\0"
    # Elf64_Vernaux: hash, flags, other, name, next. Hash and flags are enough to find the one.
    needed = struct.pack("<IH", elf_hash(OLD), 0)
    if library.count(name) != 1 or library.count(needed) != 1:
        raise ValueError(f"expected one use of {OLD.decode()}")
    return library.replace(name, b"\0" + NEW + b"\0").replace(needed, struct.pack("<IH", elf_hash(NEW), 0))


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_bytes(retargeted(path.read_bytes()))
