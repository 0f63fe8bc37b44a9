"""Bad certificates, keys, clocks and modes: what daemons and playbooks say, and the way out."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from lab_authority import Authority
from lab_cluster import Cluster, eventually
from lab_site import Measure, as_deployed, deploy, playbook

FOLDER = "/etc/mesos-tls"
MASTER, SLAVE, OTHER_SLAVE = "lab-master", "lab-slave1", "lab-slave2"
UNITS = {MASTER: "mesos-master", SLAVE: "mesos-slave", OTHER_SLAVE: "mesos-slave"}


def says(lab: Cluster, host: str, text: str) -> None:
    """Restart the host's daemon, and wait until its journal has that."""
    unit, since = UNITS[host], time.time()
    lab.host(host).run(f"systemctl restart {unit}")
    eventually(f"{unit} says {text!r}", lambda: text in lab.said(host, unit, since), seconds=20)


def ended(lab: Cluster, host: str, ours: Authority, other: Authority) -> None:
    ours.certify(lab.host(host), begins=-30, ends=-1)


def made_two_days_ahead(lab: Cluster, host: str, ours: Authority, other: Authority) -> None:
    ours.certify(lab.host(host), begins=2)


def of_another_authority(lab: Cluster, host: str, ours: Authority, other: Authority) -> None:
    other.certify(lab.host(host))


def without_a_key(lab: Cluster, host: str, ours: Authority, other: Authority) -> None:
    lab.host(host).check_output(f"rm {FOLDER}/key.pem")


def with_another_key(lab: Cluster, host: str, ours: Authority, other: Authority) -> None:
    lab.host(host).check_output(
        f"openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 > {FOLDER}/key.pem"
    )


# Mesos gives a slave up after 75 seconds.
PATIENCE = {"scheduler_unreachable_seconds": 900}
Fault = Callable[[Cluster, str, Authority, Authority], None]
# What happens to hosts; what the daemon there says, and what verify.yml says of the host.
# In openssl's words: the daemons say so of each other, too.
ENDED = (ended, "error 10 at 0 depth lookup: certificate has expired", "its certificate has ended, on")
FAULTS: dict[str, dict[str, tuple[Fault, str, str]]] = {
    "all-have-ended": {MASTER: ENDED, SLAVE: ENDED, OTHER_SLAVE: ENDED},
    "slaves": {
        SLAVE: (
            of_another_authority,
            "unable to get local issuer certificate",
            "its certificate is not of the authority that it trusts",
        ),
        OTHER_SLAVE: (without_a_key, f"{FOLDER}/key.pem", "it has no key, or one that can't be read"),
    },
    "master": {
        MASTER: (with_another_key, "key values mismatch", "its certificate does not belong to its key"),
        SLAVE: (
            made_two_days_ahead,
            "certificate is not yet valid",
            "its certificate is not valid before",
        ),
    },
}


@pytest.fixture
def patient_lab(lab: Cluster) -> Generator[Cluster, None, None]:
    """The lab, where the instances of slaves that are out for minutes are waited for."""
    run = deploy(PATIENCE)
    assert run.exit_code == 0, run.output
    yield lab
    run = deploy()
    assert run.exit_code == 0, run.output


@pytest.mark.parametrize("faults", FAULTS.values(), ids=FAULTS)
def test_site_mends_what_peers_do_not_accept(
    patient_lab: Cluster, measure: Measure, tmp_path: Path, faults: dict[str, tuple[Fault, str, str]]
) -> None:
    lab = patient_lab
    assert lab.security is not None
    ours, other = Authority(lab.security.path), Authority.new(tmp_path / "other", "mesos-cluster")
    containers = lab.containers().keys()
    for host, (fault, daemon, _) in faults.items():
        fault(lab, host, ours, other)
        says(lab, host, daemon)
    verified = playbook("playbooks/verify.yml")
    assert verified.exit_code != 0, verified.output
    findings = [finding for _, _, finding in faults.values()]
    for finding in findings:
        assert verified.words.count(finding) >= findings.count(finding), finding
    run = deploy(PATIENCE)
    measure(f"site.yml mends certificates of {', '.join(faults)}", run.seconds)
    assert run.exit_code == 0, run.output
    eventually("all is as before", as_deployed, seconds=60)
    assert lab.containers().keys() == containers


@pytest.fixture
def faked_clock(lab: Cluster) -> str:
    """How to start a program on the slave two days ahead: all lab hosts share the machine's clock."""
    lab.host(SLAVE).check_output(
        "command -v faketime || apt-get install --yes --no-install-recommends faketime"
    )
    return str(lab.host(SLAVE).check_output("command -v faketime")) + " -f +2d"


def test_a_clock_two_days_ahead(lab: Cluster, faked_clock: str, tmp_path: Path) -> None:
    containers = lab.containers().keys()
    script = shlex.quote(f'#!/bin/sh\nexec {faked_clock} /usr/bin/python3 "$@"\n')
    lab.host(SLAVE).check_output(f"echo {script} > /var/tmp/ahead; chmod +x /var/tmp/ahead")
    inventory = tmp_path / "ahead.yml"
    inventory.write_text(
        f"mesos_slaves: {{hosts: {{{SLAVE}: {{ansible_python_interpreter: /var/tmp/ahead}}}}}}\n"
    )
    run = deploy(inventories=[inventory])
    assert run.exit_code != 0
    assert run.changed == 0, run.output
    assert f"{SLAVE}: the clock is 172," in run.words
    assert lab.containers().keys() == containers


def test_a_daemon_whose_clock_is_two_days_ahead(lab: Cluster, faked_clock: str) -> None:
    """Its certificate has one day left."""
    assert lab.security is not None
    host, containers = lab.host(SLAVE), lab.containers().keys()
    Authority(lab.security.path).certify(host, ends=1)
    library = host.check_output("dpkg-query --listfiles libfaketime | grep /libfaketime.so.1$")
    drop_in = "/run/systemd/system/mesos-slave.service.d/ahead.conf"
    lines = f"[Service]\\nEnvironment=LD_PRELOAD={library} FAKETIME=+2d\\n"
    host.check_output(f"mkdir -p $(dirname {drop_in}); printf '{lines}' > {drop_in}; systemctl daemon-reload")
    try:
        says(lab, SLAVE, "certificate has expired")
        eventually("the slave is out", lambda: SLAVE not in lab.registered_slaves(), seconds=30)
    finally:
        host.check_output(f"rm {drop_in}; systemctl daemon-reload; systemctl restart mesos-slave")
    eventually("the slave is back", lambda: SLAVE in lab.registered_slaves(), seconds=60)
    run = deploy()
    assert run.exit_code == 0, run.output
    assert lab.containers().keys() == containers


def test_passwords_that_others_can_read(lab: Cluster) -> None:
    assert lab.security is not None
    containers = lab.containers().keys()
    secrets = lab.security.path / "secrets.yml"
    secrets.chmod(0o644)
    try:
        run = deploy()
    finally:
        secrets.chmod(0o600)
    assert run.exit_code != 0
    assert run.changed == 0, run.output
    assert f"Others than the owner can read {secrets}" in run.words
    host = lab.host(SLAVE)
    credential = "/etc/mesos-slave/credential.json"
    exposed = host.file(f"{FOLDER}/key.pem").content_string
    host.check_output(f"chmod 0644 {credential}; chmod 0644 {FOLDER}/key.pem")
    says(lab, SLAVE, "are too open")
    verified = playbook("playbooks/verify.yml")
    assert verified.exit_code != 0
    assert "its key is 644 root:mesos-tls, and ought to be 640 root:mesos-tls" in verified.words
    mended = deploy()
    assert mended.exit_code == 0, mended.output
    assert host.file(credential).mode == 0o400
    assert host.file(f"{FOLDER}/key.pem").mode == 0o640
    assert host.file(f"{FOLDER}/key.pem").content_string != exposed
    eventually("all is as before", as_deployed, seconds=60)
    assert lab.containers().keys() == containers


def test_an_authority_that_ends_before_a_new_certificate_would() -> None:
    ten_years = {"security_certificate_days": 3660}
    verified = playbook("playbooks/verify.yml", "--extra-vars", json.dumps(ten_years))
    assert verified.exit_code != 0
    assert "before a new certificate would: playbooks/rotate_secrets.yml replaces it" in verified.words
