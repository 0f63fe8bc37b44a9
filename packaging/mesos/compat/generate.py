"""Write the C sources of the private libraries that libmesos.so asks for and today's systems lack.

usage: generate.py LIBMESOS OUTPUT_FOLDER

openssl.c, openssl.map: libssl.so.1.0.0 and libcrypto.so.1.0.0, every function of which jumps to its namesake
in OpenSSL 3. This works because libmesos hands OpenSSL's objects around as pointers and looks into none.
python2.c: the Python 2 interpreter's symbols. libmesos is built as a Python module; nothing that the master
and the agent do calls into Python, so the functions end the process and the objects are empty.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

OPENSSL_NODES = ["OPENSSL_1.0.0", "OPENSSL_1.0.1", "OPENSSL_1.0.2"]  # each inherits from the one before

RENAMED = {  # 1.0's name: the name of the same function in OpenSSL 3
    "SSL_get_peer_certificate": "SSL_get1_peer_certificate",
    "SSL_state": "SSL_get_state",
    "SSLv23_method": "TLS_method",
    "sk_new_null": "OPENSSL_sk_new_null",
    "sk_num": "OPENSSL_sk_num",
    "sk_pop_free": "OPENSSL_sk_pop_free",
    "sk_push": "OPENSSL_sk_push",
    "sk_value": "OPENSSL_sk_value",
}

NOT_NEEDED = {  # OpenSSL 3 starts and locks by itself: what these return to a caller that asks for it
    "CRYPTO_num_locks": 1,
    "CRYPTO_set_dynlock_create_callback": 0,
    "CRYPTO_set_dynlock_destroy_callback": 0,
    "CRYPTO_set_dynlock_lock_callback": 0,
    "CRYPTO_set_id_callback": 0,
    "CRYPTO_set_locking_callback": 0,
    "OPENSSL_add_all_algorithms_noconf": 0,
    "SSL_library_init": 1,
    "SSL_load_error_strings": 0,
}

PYTHON_OBJECTS = {"PyExc_Exception", "PyExc_TypeError", "_Py_NoneStruct"}


def undefined_symbols(library: Path) -> list[tuple[str, str]]:
    """Name and version node ("" for none) of every symbol that `library` expects from others."""
    command = ["nm", "--dynamic", "--undefined-only", str(library)]
    listing = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return re.findall(r" [Uw] (\w+)(?:@+(\S+))?", listing)


def version_script(names_of: dict[str, list[str]]) -> str:
    """A linker version script with one node a key, each inheriting from the one before."""
    script, parent = "", ""
    for node, names in names_of.items():
        script += f"{node} {{ global: {' '.join(name + ';' for name in names)} local: *; }} {parent};\n"
        parent = node
    return script


def openssl_source(names: list[str]) -> str:
    """C source that defines the OpenSSL 1.0 functions `names` through OpenSSL 3."""
    forwarded = [name for name in names if name not in NOT_NEEDED]
    targets = ", ".join(f'"{RENAMED.get(name, name)}"' for name in forwarded)
    jumps = "".join(
        f'__asm__(".text\\n.globl {name}\\n.type {name}, @function\\n'
        f'{name}: jmp *forward+{8 * i}(%rip)\\n");\n'
        for i, name in enumerate(forwarded)
    )
    constants = "".join(
        f"long {name}(void) {{ return {NOT_NEEDED[name]}; }}\n" for name in names if name in NOT_NEEDED
    )
    return f"""#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const targets[] = {{{targets}}};
__attribute__((visibility("hidden"))) void *forward[{len(forwarded)}];

/* A constructor, because libmesos calls OpenSSL from its own; those of a dependency run first. */
__attribute__((constructor)) static void resolve(void)
{{
  void *ssl = dlopen("libssl.so.3", RTLD_NOW | RTLD_LOCAL);
  void *crypto = ssl ? dlopen("libcrypto.so.3", RTLD_NOW | RTLD_LOCAL) : NULL;
  for (unsigned i = 0; crypto && i < {len(forwarded)}; i++) {{
    forward[i] = dlsym(ssl, targets[i]);
    if (!forward[i]) forward[i] = dlsym(crypto, targets[i]);
    if (!forward[i]) crypto = NULL;
  }}
  if (!crypto) {{
    fprintf(stderr, "mesos: OpenSSL 3 cannot be used: %s\\n", dlerror());
    exit(EXIT_FAILURE);
  }}
}}

{jumps}
{constants}"""


def python_source(names: list[str]) -> str:
    """C source that defines the Python 2 symbols `names`."""
    objects = "".join(f"long {name}[8];\n" for name in names if name in PYTHON_OBJECTS)
    functions = "".join(f"void {name}(void) {{ abort(); }}\n" for name in names if name not in PYTHON_OBJECTS)
    return f"#include <stdlib.h>\n\n{objects}\n{functions}"


def main() -> None:
    """Command line; see the module's text."""
    libmesos, output = map(Path, sys.argv[1:])
    symbols = undefined_symbols(libmesos)
    openssl = {node: [name for name, its_node in symbols if its_node == node] for node in OPENSSL_NODES}
    python = [name for name, node in symbols if not node and re.match("_?Py[A-Z_]", name)]
    (output / "openssl.map").write_text(version_script(openssl))
    (output / "openssl.c").write_text(openssl_source([name for names in openssl.values() for name in names]))
    (output / "python2.c").write_text(python_source(python))


if __name__ == "__main__":
    main()
