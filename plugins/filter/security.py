"""Filters about the certificates and secrets of a cluster that this machine keeps in the security folder."""

from __future__ import annotations

import ipaddress
import re
import secrets
import string
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ansible.errors import AnsibleFilterError

AUTHORITY = "ca.pem"
AUTHORITY_KEY = "ca.key"
NEXT_AUTHORITY = "ca.next.pem"
LAST_AUTHORITY = "ca.last.pem"
SECRETS = "secrets.yml"
PRIVATE = (AUTHORITY_KEY, "ca.next.key", "operator.key", SECRETS)
# What Ansible's vault begins its files with. A file lookup would decrypt it silently.
VAULT = b"$ANSIBLE_VAULT;"
SECRET_CHARACTERS = string.ascii_letters + string.digits
SECRET_LENGTH = 40
SHORTEST_SECRET = 16
# Certificates begin a day before they are made.
MOST_CLOCK_SECONDS = 3600
_CERTIFICATE = re.compile("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_DNS_NAME = re.compile(r"(?=.{1,253}$)(?!-)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*")

# All that follows from the secrets and the principals.
SET_BY_THE_CLUSTER = {
    "mesos_master_acls",
    "mesos_master_credentials",
    "mesos_master_zookeeper_credential",
    "mesos_slave_acls",
    "mesos_slave_credential",
    "mesos_slave_executor_key",
    "mesos_slave_http_credentials",
    "monitoring_mesos_master_credential",
    "monitoring_mesos_slave_credential",
    "scheduler_principal",
    "scheduler_secret",
    "scheduler_slave_secret",
}

# Who is let in, and how, is the cluster's to say.
REFUSED_FLAGS = {
    "advertise_ip",
    "authenticate_agents",
    "authenticate_frameworks",
    "authenticate_http_executors",
    "authenticate_http_frameworks",
    "authenticate_http_readonly",
    "authenticate_http_readwrite",
    "authenticatee",
    "authenticators",
    "authorizer",
    "authorizers",
    "http_authenticators",
    "http_executor_domain_sockets",
    "http_framework_authenticators",
}

Kept = dict[str, Any]


def kept_in(folder: str) -> Kept:
    """Return what the security folder holds.

    authority: whom hosts trust, as PEM, or nothing. authorities: its certificates; the first one signs. next:
    the one that will sign, while it is replaced, or nothing; last: the one that has signed, until nobody
    needs it any more. has_key, has_secrets: whether the key of the first and secrets.yml are there.
    encrypted: private files that are. exposed: private files that others can read. AnsibleFilterError:
    something can't be read.
    """
    home = Path(folder)
    try:
        authority = _text(home / AUTHORITY)
        return {
            "authority": authority,
            "authorities": _certificates(authority),
            "next": _text(home / NEXT_AUTHORITY),
            "last": _text(home / LAST_AUTHORITY),
            "has_key": (home / AUTHORITY_KEY).exists(),
            "has_secrets": (home / SECRETS).exists(),
            "encrypted": [
                str(home / name) for name in PRIVATE if (home / name).exists() and _vaulted(home / name)
            ],
            "exposed": [str(home / name) for name in PRIVATE if _exposed(home / name)],
        }
    except (OSError, UnicodeDecodeError) as error:
        raise AnsibleFilterError(f"The security folder {folder} can't be read: {error}") from error


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8").strip() if path.exists() else ""


def _certificates(pem: str) -> list[str]:
    return _CERTIFICATE.findall(pem)


def _vaulted(path: Path) -> bool:
    return path.read_bytes().startswith(VAULT)


def _exposed(path: Path) -> bool:
    return path.exists() and bool(path.stat().st_mode & 0o077) and not _vaulted(path)


def security_switch(
    hosts: Iterable[str], hostvars: Mapping[str, Mapping[str, Any]], cluster: Iterable[str]
) -> Kept:
    """Return what becomes of a cluster that runs in another way than `cluster_security` says.

    mistakes: why it can't be so, a sentence each. masters_first: whether masters must first understand both
    kinds of peers, because most of them are of the other kind. hosts: those of this run. cluster: all hosts.
    Each host's `__site_enabled.stdout_lines` has, for each of its units of Mesos, `UNIT tls=1 plain=0
    sockets=0`: whether it speaks TLS, whether it understands peers who don't, and whether its executors have
    a socket of their own, as those of a secured slave.
    """
    secured = {host: _true(hostvars[host].get("cluster_security", True)) for host in hosts}
    if len(set(secured.values())) > 1:
        listed = ", ".join(host for host, value in secured.items() if value)
        return _stop(f"cluster_security is true for {listed} only; it must be the same for all hosts.")
    units = [
        _Unit(host, found[1], tls=found[2] == "1", plain=found[3] == "1", sockets=found[4] == "1")
        for host in secured
        for line in hostvars[host].get("__site_enabled", {}).get("stdout_lines", [])
        if (found := re.fullmatch(r"(mesos-\w+) tls=(\d) plain=(\d) sockets=(\d)", line.strip()))
    ]
    other = [unit for unit in units if unit.plain or unit.tls != secured[unit.host]]
    own = [host for host in secured if hostvars[host].get("mesos_tls")]
    if own:
        # They speak TLS in an open cluster, too; there they have no sockets.
        other = [unit for unit in units if unit.name == "mesos-slave" and unit.sockets != secured[unit.host]]
    if not other:
        return {"mistakes": [], "masters_first": False}
    listed = ", ".join(dict.fromkeys(unit.host for unit in other))
    runs, wish = ("open", "true") if secured[other[0].host] else ("secured", "false")
    if own:
        stays = "false" if wish == "true" else "true"
        return _stop(
            f"{listed}: Mesos runs {runs} here, and a cluster with certificates of its own (mesos_tls) can't"
            f" be switched. Set cluster_security: {stays}, or give all hosts back with playbooks/reset.yml"
            " and begin anew."
        )
    if not all("cluster_security" in hostvars[host] for host in secured):
        return _stop(
            f"{listed}: Mesos runs {runs} here. Set cluster_security: true to secure the cluster, with all"
            " its containers running on (docs/security.md), or cluster_security: false to leave it open."
        )
    left_out = [host for host in cluster if host not in secured]
    if left_out:
        return _stop(
            f"{listed}: Mesos runs {runs} here, and cluster_security is {wish}. A cluster is switched as a"
            f" whole: {', '.join(left_out)} can't be reached, or --limit leaves them out."
        )
    masters = [unit for unit in units if unit.name == "mesos-master"]
    return {
        "mistakes": [],
        "masters_first": 2 * sum(unit.name == "mesos-master" for unit in other) > len(masters),
    }


class _Unit(NamedTuple):
    host: str
    name: str
    tls: bool
    plain: bool
    sockets: bool


def _stop(mistake: str) -> Kept:
    return {"mistakes": [mistake], "masters_first": False}


def security_mistakes(
    kept: Kept,
    hosts: Iterable[str],
    hostvars: Mapping[str, Mapping[str, Any]],
    left_out: Iterable[str],
    given: object,
    names: Iterable[str],
) -> list[str]:
    """Return why the cluster's certificates and secrets can't be used or made, a sentence each.

    kept: of kept_in. hosts: those of this run. Each host's `__security_host_home` is its security folder,
    its `__security_host_authority` the authority's certificate that it has, or nothing, and
    `__security_host_clock_ahead` says how many seconds its clock is ahead of this machine's. left_out: hosts
    of the cluster that this run does not look at. given: what secrets.yml holds. names: what must be in it.
    """
    variables = {host: hostvars[host] for host in hosts}
    folders = {host: str(each["__security_host_home"]) for host, each in variables.items()}
    authorities = {host: str(each["__security_host_authority"]) for host, each in variables.items()}
    if len(set(folders.values())) > 1:
        listed = ", ".join(f"{value} ({host})" for host, value in folders.items())
        return [f"The hosts have more than one security_folder: {listed}. Set one for all of them."]
    folder = next(iter(folders.values()))
    return [
        *_inventory_mistakes(variables.values()),
        *_folder_mistakes(kept, folder),
        *_authority_mistakes(kept["authority"], folder, authorities, list(left_out)),
        *_clock_mistakes(
            {host: int(each["__security_host_clock_ahead"]) for host, each in variables.items()}
        ),
        *_secrets_mistakes(kept, folder, given, names, deployed=any(authorities.values())),
    ]


def _inventory_mistakes(variables: Iterable[Mapping[str, Any]]) -> list[str]:
    variables = list(variables)
    own = sorted(SET_BY_THE_CLUSTER & {name for each in variables for name in each})
    refused = sorted(
        {
            (options, flag)
            for each in variables
            for options in ("mesos_master_options", "mesos_slave_options")
            for flag in REFUSED_FLAGS & (each.get(options) or {}).keys()
        }
    )
    frameworks = [each.get("cluster_frameworks") or [] for each in variables]
    return [
        *(
            f"{name} is set, and cluster_security sets it itself: take it out of the inventory. Other"
            " people's frameworks belong into cluster_frameworks."
            for name in own
        ),
        *(
            f"{options}: {flag} can't be used with cluster_security, which says itself who is let in"
            + (", and by which address." if flag == "advertise_ip" else ".")
            for options, flag in refused
        ),
        *(
            ["cluster_frameworks must be the same for all hosts: set it in group_vars/all."]
            if any(each != frameworks[0] for each in frameworks)
            else []
        ),
    ]


def _folder_mistakes(kept: Kept, folder: str) -> list[str]:
    mistakes = []
    if kept["exposed"]:
        mistakes.append(
            f"Others than the owner can read {', '.join(kept['exposed'])}, and whoever could has its secrets."
            " Make it private again: chmod 600."
        )
    if kept["authority"] and not kept["has_key"]:
        mistakes.append(f"There is no {AUTHORITY_KEY} in {folder}, so nothing can be signed. Bring it back.")
    return mistakes


def _authority_mistakes(
    authority: str, folder: str, authorities: Mapping[str, str], left_out: list[str]
) -> list[str]:
    having = [host for host, known in authorities.items() if known]
    if not authority and having:
        return [
            f"There is no {AUTHORITY} in {folder}, but {', '.join(having)} belong to a cluster that has one."
            " Bring the folder back from a backup, or set security_folder to where it is."
        ]
    if not authority and left_out:
        return [
            f"There is no {AUTHORITY} in {folder}. The first run makes it, and must look at all hosts of the"
            f" cluster: {', '.join(left_out)} can't be reached, or --limit leaves them out."
        ]
    ours = set(_certificates(authority))  # two, while the authority is replaced
    others = [host for host in having if ours.isdisjoint(_certificates(authorities[host]))]
    if not others:
        return []
    return [
        f"{', '.join(others)} trust another authority than {folder}/{AUTHORITY}: they belong to another"
        " cluster, or the folder does. Set security_folder to the right one, or give the hosts back with"
        " playbooks/reset.yml."
    ]


def _clock_mistakes(ahead: Mapping[str, int]) -> list[str]:
    return [
        f"{host}: the clock is {abs(seconds):,} s {'ahead of' if seconds > 0 else 'behind'} this machine's."
        " Certificates are valid by the clock: set the one that is wrong."
        for host, seconds in ahead.items()
        if abs(seconds) > MOST_CLOCK_SECONDS
    ]


def _secrets_mistakes(
    kept: Kept, folder: str, given: object, names: Iterable[str], *, deployed: bool
) -> list[str]:
    file = f"{folder}/{SECRETS}"
    if deployed and not kept["has_secrets"]:
        return [f"There is no {SECRETS} in {folder}. Bring it back from a backup."]
    if not isinstance(given, Mapping):
        return [f"{file} must be a dictionary: a name and a secret on each line."]
    weak = [
        str(name)
        for name, secret in given.items()
        if not isinstance(secret, str) or len(secret) < SHORTEST_SECRET or not re.fullmatch(r"[!-~]*", secret)
    ]
    if weak:
        return [
            f"{file}: {', '.join(weak)} must be a text of {SHORTEST_SECRET} ASCII characters or more, without"
            " spaces."
        ]
    missing = [name for name in names if name not in given]
    if missing and file in kept["encrypted"]:
        return [
            f"{file} has no {', '.join(missing)}. It is encrypted: add what is missing with ansible-vault"
            " edit."
        ]
    return []


def new_secrets(names: Iterable[str]) -> dict[str, str]:
    """Return a new secret for each name."""
    return {name: "".join(secrets.choice(SECRET_CHARACTERS) for _ in range(SECRET_LENGTH)) for name in names}


def certificate_names(names: Iterable[str]) -> list[str]:
    """Return `DNS:NAME` and `IP:ADDRESS`, as a certificate lists them; what is neither can't stand in one."""
    found = set()
    for name in names:
        try:
            found.add(f"IP:{ipaddress.ip_address(name)}")
        except ValueError:
            if _DNS_NAME.fullmatch(name):
                found.add(f"DNS:{name.lower()}")
    return sorted(found)


def tls_environment(files: Mapping[str, str], *, or_plain: bool = False) -> list[str]:
    """Return what libprocess must have in its environment to speak TLS 1.3, and nothing else.

    files: `ca_file`, `cert_file` and `key_file`. Empty: nothing. Both sides show a certificate; that of the
    server must have its address. Messages between masters and slaves name their sender's address in a header,
    which anybody with a certificate could forge: it must be that of the connection. or_plain: peers who don't
    speak TLS are understood, too.
    """
    if not files:
        return []
    variables = {
        "SSL_ENABLED": "true",
        "SSL_CA_FILE": files["ca_file"],
        "SSL_CERT_FILE": files["cert_file"],
        "SSL_KEY_FILE": files["key_file"],
        "SSL_ENABLE_TLS_V1_2": "false",
        "SSL_ENABLE_TLS_V1_3": "true",
        "SSL_VERIFY_SERVER_CERT": "true",
        "SSL_REQUIRE_CLIENT_CERT": "true",
        "SSL_HOSTNAME_VALIDATION_SCHEME": "openssl",
        "SSL_VERIFY_IPADD": "true",
        "REQUIRE_PEER_ADDRESS_IP_MATCH": "true",
    }
    if or_plain:
        variables["SSL_SUPPORT_DOWNGRADE"] = "true"
    return [f"LIBPROCESS_{name}={value}" for name, value in variables.items()]


def tls_files(files: Mapping[str, str]) -> list[str]:
    """Return the paths of what tls_environment names: a daemon reads them once, when it starts."""
    return [files[name] for name in ("ca_file", "cert_file", "key_file")] if files else []


def _true(value: object) -> bool:
    """Tell whether a value is true, as Ansible's filter `bool` does."""
    return str(value).lower() in {"true", "yes", "on", "1", "y", "t"}


class FilterModule:
    """What Ansible looks for in a filter plugin."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {
            "kept_in": kept_in,
            "security_switch": security_switch,
            "security_mistakes": security_mistakes,
            "new_secrets": new_secrets,
            "certificate_names": certificate_names,
            "tls_environment": tls_environment,
            "tls_files": tls_files,
        }
