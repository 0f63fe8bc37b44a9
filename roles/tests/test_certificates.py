"""When a host gets another certificate, and what verify.yml says: the role's tasks on broken folders."""

from __future__ import annotations

import grp
import json
import os
import pwd
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from lab_authority import Authority, new_key

ROOT = Path(__file__).resolve().parents[2]
ADDRESS = "192.0.2.7"
OWNER = f"{pwd.getpwuid(os.getuid()).pw_name}:{grp.getgrgid(os.getgid()).gr_name}"


class Host:
    """A host's folder: a key, its certificate, and the authority that it trusts."""

    def __init__(self, folder: Path, ours: Authority, other: Authority) -> None:
        self.folder, self.ours, self.other = folder, ours, other
        folder.mkdir()
        self.cert_file, self.key_file = folder / "cert.pem", folder / "key.pem"
        self.key, pem = new_key()
        self.write("key.pem", pem).chmod(0o640)
        self.write("ca.pem", ours.pem)
        self.certify(ours)

    def write(self, name: str, text: str) -> Path:
        """Write one of its files."""
        (self.folder / name).write_text(text)
        return self.folder / name

    def certify(
        self,
        authority: Authority,
        addresses: Sequence[str] = (ADDRESS,),
        begins: float = -1,
        ends: float = 397,
    ) -> None:
        """Give it a certificate."""
        pem = authority.sign(self.key.public_key(), addresses, begins=begins, ends=ends)
        self.write("cert.pem", pem)


def trusts_another(host: Host) -> None:
    host.write("ca.pem", host.other.pem)
    host.certify(host.other)


CASES: dict[str, tuple[Callable[[Host], object], str]] = {
    "sound": (lambda host: None, ""),
    "ends-soon": (lambda host: host.certify(host.ours, ends=20), "ends soon, on"),
    "ended": (lambda host: host.certify(host.ours, begins=-9, ends=-1), "its certificate has ended, on"),
    "not-yet-valid": (lambda host: host.certify(host.ours, begins=2), "its certificate is not valid before"),
    "none": (lambda host: host.cert_file.unlink(), "the host has no certificate"),
    "nothing": (lambda host: host.folder.rename(f"{host.folder}.away"), "the host has no certificate"),
    "unreadable": (lambda host: host.write("cert.pem", "?"), "its certificate can't be read"),
    "other-address": (lambda host: host.certify(host.ours, ["192.0.2.8"]), "is for IP:192.0.2.8, and ought"),
    "no-key": (lambda host: host.key_file.unlink(), "it has no key, or one that can't be read"),
    "other-key": (lambda host: host.write("key.pem", new_key()[1]), "does not belong to its key"),
    "no-names": (lambda host: host.certify(host.ours, []), "is for nobody, and ought to be for IP:192.0.2.7"),
    "binary": (lambda host: host.cert_file.write_bytes(b"\xff\xfe\0"), "the host has no certificate"),
    "key-for-all": (lambda host: host.key_file.chmod(0o644), f"its key is 644 {OWNER}, and ought"),
    "key-for-root": (lambda host: host.key_file.chmod(0o600), f"its key is 600 {OWNER}, and ought"),
    "of-another": (lambda host: host.certify(host.other), "is not of the authority that it trusts"),
    "trusts-another": (trusts_another, "it trusts another authority than"),
}  # fmt: skip


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[bool, list[str]]]:
    """Whether a certificate is due, and what is wrong, by case: one run on a host for each."""
    home = tmp_path_factory.mktemp("certificates")
    ours, other = Authority.new(home / "kept"), Authority.new(home / "other")
    hosts = {}
    for case, (breaks, _) in CASES.items():
        host = Host(home / case, ours, other)
        breaks(host)
        hosts[case] = {"folder": str(host.folder), "told": str(home / f"{case}.json")}
    inventory = {"all": {"hosts": hosts}}
    (home / "inventory.json").write_text(json.dumps(inventory))
    told = "{{ {'due': __security_due, 'findings': __security_findings} | to_json }}"
    playbook = [
        {
            "hosts": "all",
            "connection": "local",
            "gather_facts": False,
            "tasks": [
                {
                    "ansible.builtin.include_role": {"name": "security", "tasks_from": "verify.yml"},
                    "vars": {
                        "ansible_become": False,
                        "__security_host_folder": "{{ folder }}",
                        "__security_key_mode": f"640 {OWNER}",
                        "__security_names": [f"IP:{ADDRESS}"],
                    },
                },
                {"ansible.builtin.copy": {"content": told, "dest": "{{ told }}", "mode": "0600"}},
            ],
        }
    ]
    (home / "playbook.json").write_text(json.dumps(playbook))
    subprocess.run(
        [
            Path(sys.executable).with_name("ansible-playbook"),
            f"--inventory={home / 'inventory.json'}",
            f"--extra-vars=security_folder={home / 'kept'}",
            home / "playbook.json",
        ],
        cwd=ROOT,
        # Whom the host trusts otherwise is nobody to its daemons.
        env=os.environ
        | {"ANSIBLE_PYTHON_INTERPRETER": sys.executable, "SSL_CERT_FILE": str(home / "other" / "ca.pem")},
        check=True,
        capture_output=True,
    )
    read = {case: json.loads((home / f"{case}.json").read_text()) for case in CASES}
    return {case: (bool(each["due"]), each["findings"][0]["wrong"]) for case, each in read.items()}


@pytest.mark.parametrize("case", CASES)
def test_what_is_wrong_is_told_and_replaced(case: str, findings: dict[str, tuple[bool, list[str]]]) -> None:
    due, wrong = findings[case]
    expected = CASES[case][1]
    assert due == bool(expected)
    assert [expected in message for message in wrong] == [True] * bool(expected), wrong
