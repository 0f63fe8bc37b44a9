"""Print the manual page of a program that documents its flags as Mesos does, from its --help.

usage: manpage.py PROGRAM SECTION DATE "one line on what it is"
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

HEAD = """.TH {title} {section} "{date}" "Apache Mesos 1.11.0" "System administration"
.SH NAME
{name} \\- {what}
.SH SYNOPSIS
.B {name}
[\\fI\\-\\-flag\\fR[=\\fIvalue\\fR]]...
.SH DESCRIPTION
Every flag can also be given as an environment variable: its name in capitals after MESOS_.
A value file:///PATH is replaced by the contents of that file where the flag is not a path itself.
.SH OPTIONS
"""


def escaped(line: str) -> str:
    """A line as roff prints it: literally, even where it begins with a dot or a quote."""
    line = line.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + line if line.startswith((".", "'")) else line


def options(help_text: str) -> str:
    """The table of flags of a --help text, as roff: each flag's lines as they stand."""
    page, column = "", 0
    for line in help_text.splitlines():
        flag = re.match(r"  (--\S+(?: --\S+)*) +(?=\S)", line)
        if flag:
            column = flag.end()
            page += f".TP\n.B {escaped(flag.group(1))}\n.nf\n{escaped(line[column:])}\n.fi\n"
        elif column and line.strip():
            page = page.removesuffix(".fi\n") + f"{escaped(line[column:])}\n.fi\n"
    return page


def main() -> None:
    """Command line; see the module's text."""
    program, section, date, what = sys.argv[1:]
    help_text = subprocess.run([program, "--help"], check=True, capture_output=True, text=True).stdout
    name = Path(program).name
    print(
        HEAD.format(title=name.upper(), section=section, date=date, name=name, what=what) + options(help_text)
    )


if __name__ == "__main__":
    main()
