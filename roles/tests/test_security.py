"""What the control node keeps of a secured cluster, and what can't be right about it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SECRET = "s" * 40
NAMES = ["mesos_master_operator", "mesos_slave_operator"]
GIVEN = dict.fromkeys(NAMES, SECRET)


def certificate(name: str) -> str:
    """Return what a certificate looks like from afar."""
    return f"-----BEGIN CERTIFICATE-----\n{name}\n-----END CERTIFICATE-----"


AUTHORITY, OTHER = certificate("AUTHORITY"), certificate("OTHER")


@pytest.fixture(scope="module")
def security(load: Callable[[str], ModuleType]) -> ModuleType:
    return load("plugins/filter/security.py")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in (("ca.pem", AUTHORITY + "\n"), ("ca.key", "KEY"), ("secrets.yml", "---\n")):
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(0o600)
    return tmp_path


def mistakes(security: ModuleType, folder: Path, given: object = None, **more: Any) -> list[str]:
    """Return the mistakes of a cluster of two hosts, of which `more` says what is special."""
    hostvars = {
        host: {
            "__security_host_home": str(folder),
            "__security_host_authority": AUTHORITY,
            "__security_host_clock_ahead": "1",
        }
        | more.get(host, {})
        for host in ("h1", "h2")
    }
    found: list[str] = security.security_mistakes(
        security.kept_in(str(folder)),
        list(hostvars),
        hostvars,
        more.get("left_out", []),
        GIVEN if given is None else given,
        NAMES,
    )
    return found


def test_what_fits(security: ModuleType, folder: Path) -> None:
    assert mistakes(security, folder) == []
    (folder / "secrets.yml").unlink()
    (folder / "ca.pem").unlink()
    (folder / "ca.key").unlink()
    nothing = {"__security_host_authority": ""}
    assert mistakes(security, folder, {}, h1=nothing, h2=nothing) == [], "the first run makes all of it"


def test_a_living_cluster_gets_no_other_authority(security: ModuleType, folder: Path) -> None:
    (folder / "ca.pem").unlink()
    (found,) = mistakes(security, folder, h1={"__security_host_authority": ""})
    assert found.startswith(f"There is no ca.pem in {folder}, but h2 belong to a cluster that has one.")


def test_the_first_run_looks_at_all_hosts(security: ModuleType, folder: Path) -> None:
    nothing = {"__security_host_authority": ""}
    (folder / "ca.pem").unlink()
    (found,) = mistakes(security, folder, h1=nothing, h2=nothing, left_out=["h3"])
    assert "must look at all hosts of the cluster: h3 can't be reached" in found


def test_hosts_may_trust_either_while_the_authority_is_replaced(security: ModuleType, folder: Path) -> None:
    (folder / "ca.pem").write_text(f"{OTHER}\n{AUTHORITY}\n")
    (folder / "ca.next.pem").write_text(OTHER + "\n")
    kept = security.kept_in(str(folder))
    assert (kept["authorities"], kept["next"]) == ([OTHER, AUTHORITY], OTHER)
    assert mistakes(security, folder, h1={"__security_host_authority": f"{AUTHORITY}\n{OTHER}"}) == []
    (folder / "ca.pem").write_text(OTHER)
    (found,) = mistakes(security, folder, h1={"__security_host_authority": f"{OTHER}\n{AUTHORITY}"})
    assert found.startswith("h2 trust another authority than")


@pytest.mark.parametrize(
    ("seconds", "words"), [("172800", "172,800 s ahead of this"), ("-7200", "7,200 s behind this")]
)
def test_clocks_that_do_not_agree(security: ModuleType, folder: Path, seconds: str, words: str) -> None:
    (found,) = mistakes(security, folder, h2={"__security_host_clock_ahead": seconds})
    assert found.startswith(f"h2: the clock is {words} machine's.")


def test_hosts_of_another_cluster(security: ModuleType, folder: Path) -> None:
    (found,) = mistakes(security, folder, h2={"__security_host_authority": OTHER})
    assert found.startswith(f"h2 trust another authority than {folder}/ca.pem")


def test_two_inventories_with_a_folder_each(security: ModuleType, folder: Path) -> None:
    (found,) = mistakes(security, folder, h2={"__security_host_home": "/elsewhere"})
    assert found == (
        f"The hosts have more than one security_folder: {folder} (h1), /elsewhere (h2). Set one for all of"
        " them."
    )


@pytest.mark.parametrize("name", ["ca.key", "secrets.yml"])
def test_a_private_file_that_others_can_read(security: ModuleType, folder: Path, name: str) -> None:
    (folder / name).chmod(0o644)
    (found,) = mistakes(security, folder)
    assert found.startswith(f"Others than the owner can read {folder}/{name}")
    (folder / name).write_text("$ANSIBLE_VAULT;1.1;AES256\n6162\n")
    assert mistakes(security, folder) == [], "it is encrypted, as in a checkout"


def test_a_first_run_that_was_interrupted_goes_on(security: ModuleType, folder: Path) -> None:
    (folder / "secrets.yml").unlink()
    nothing = {"__security_host_authority": ""}
    assert mistakes(security, folder, {}, h1=nothing, h2=nothing) == []


def test_what_is_lost_is_not_made_anew(security: ModuleType, folder: Path) -> None:
    (folder / "ca.key").unlink()
    (folder / "secrets.yml").unlink()
    assert mistakes(security, folder, {}) == [
        f"There is no ca.key in {folder}, so nothing can be signed. Bring it back.",
        f"There is no secrets.yml in {folder}. Bring it back from a backup.",
    ]


@pytest.mark.parametrize(
    "secret", ["short", 12345678901234567890, "with a space in the middle", "ü" * 20, ""]
)
def test_a_secret_that_can_not_be_one(security: ModuleType, folder: Path, secret: object) -> None:
    (found,) = mistakes(security, folder, GIVEN | {"mesos_master_operator": secret})
    assert found == (
        f"{folder}/secrets.yml: mesos_master_operator must be a text of 16 ASCII characters or more, without"
        " spaces."
    )


@pytest.mark.parametrize("given", ["a text", ["a list"], 7])
def test_secrets_that_are_no_dictionary(security: ModuleType, folder: Path, given: object) -> None:
    (found,) = mistakes(security, folder, given)
    assert found.startswith(f"{folder}/secrets.yml must be a dictionary")


def test_an_encrypted_file_is_never_written(security: ModuleType, folder: Path) -> None:
    assert mistakes(security, folder, {}) == [], "the run adds what is missing"
    (folder / "secrets.yml").write_text("$ANSIBLE_VAULT;1.1;AES256\n6162\n")
    assert mistakes(security, folder) == []
    (found,) = mistakes(security, folder, {})
    assert found == (
        f"{folder}/secrets.yml has no mesos_master_operator, mesos_slave_operator. It is encrypted: add what"
        " is missing with ansible-vault edit."
    )


def test_new_secrets(security: ModuleType) -> None:
    made = security.new_secrets(NAMES)
    assert list(made) == NAMES
    assert all(re.fullmatch(r"[A-Za-z0-9]{40}", secret) for secret in made.values())
    assert not set(made.values()) & set(security.new_secrets(NAMES).values())


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("mesos_master_credentials", [], "cluster_security sets it itself"),
        ("scheduler_secret", "x", "cluster_security sets it itself"),
        ("mesos_master_options", {"authenticate_agents": False}, "authenticate_agents can't be used"),
        ("cluster_frameworks", [{"principal": "batch"}], "must be the same for all hosts"),
        (
            "mesos_slave_options",
            {"advertise_ip": "1.2.3.4"},
            "mesos_slave_options: advertise_ip can't be used",
        ),
    ],
)
def test_variables_that_contradict(
    security: ModuleType, folder: Path, variable: str, value: object, words: str
) -> None:
    (found,) = mistakes(security, folder, h2={variable: value})
    assert words in found


def test_names_in_a_certificate(security: ModuleType) -> None:
    given = ["10.0.0.1", "Host.example", "", "10.0.0.1", "2001:db8::1", "no name", "a" * 70, "h_1"]
    assert security.certificate_names(given) == [
        "DNS:h_1",
        "DNS:host.example",
        "IP:10.0.0.1",
        "IP:2001:db8::1",
    ]


OPEN, BETWEEN, SECURED = "tls=0 plain=0 sockets=0", "tls=1 plain=1 sockets=0", "tls=1 plain=0 sockets=1"


def running(**units: str) -> dict[str, Any]:
    """Return the variables of a host with these units of Mesos: `master="tls=1 plain=0 sockets=0"`."""
    return {"__site_enabled": {"stdout_lines": [f"mesos-{name} {how}\r" for name, how in units.items()]}}


def switch(security: ModuleType, hostvars: dict[str, Any]) -> dict[str, Any]:
    """Return what becomes of a cluster of these hosts, which all take part."""
    found: dict[str, Any] = security.security_switch(list(hostvars), hostvars, list(hostvars))
    return found


@pytest.mark.parametrize(
    ("wish", "masters", "slave", "masters_first"),
    [
        (True, [], OPEN, False),
        (True, [OPEN, OPEN, OPEN], OPEN, True),
        (True, [BETWEEN, OPEN, OPEN], OPEN, True),
        (True, [BETWEEN, BETWEEN, BETWEEN], SECURED, True),
        (True, [SECURED, BETWEEN, BETWEEN], SECURED, True),
        (True, [SECURED, SECURED, OPEN], SECURED, False),  # it was down, and is alone
        (True, [SECURED, SECURED, SECURED], OPEN, False),
        (True, [SECURED, SECURED, SECURED], SECURED, False),
        (False, [OPEN, OPEN, OPEN], OPEN, False),
        (False, [SECURED, SECURED, SECURED], SECURED, True),
        (False, [OPEN, BETWEEN, BETWEEN], OPEN, True),
    ],
)
def test_masters_understand_both_kinds_while_most_of_them_are_switched(
    security: ModuleType, *, wish: bool, masters: list[str], slave: str, masters_first: bool
) -> None:
    hostvars = {f"m{i}": running(master=how) for i, how in enumerate(masters)} | {"s": running(slave=slave)}
    for variables in hostvars.values():
        variables["cluster_security"] = wish
    expected = {"mistakes": [], "masters_first": masters_first}
    assert switch(security, hostvars) == expected


def test_a_new_cluster_is_not_switched(security: ModuleType) -> None:
    hostvars = {"h1": {"__site_enabled": {"stdout_lines": ["zookeeper enabled"]}}}
    assert switch(security, hostvars) == {"mistakes": [], "masters_first": False}


def test_an_open_cluster_is_secured_by_wish_alone(security: ModuleType) -> None:
    (found,) = switch(security, {"h1": running(master=OPEN)})["mistakes"]
    assert found.startswith("h1: Mesos runs open here. Set cluster_security: true to secure")


@pytest.mark.parametrize(
    ("variables", "slave", "words"),
    [
        ({"cluster_security": False}, "tls=1 plain=0 sockets=0", None),
        ({"cluster_security": True}, SECURED, None),
        ({}, SECURED, None),
        ({}, "tls=1 plain=0 sockets=0", "Mesos runs open here"),
        ({"cluster_security": True}, "tls=1 plain=0 sockets=0", "Set cluster_security: false"),
        ({"cluster_security": False}, SECURED, "Set cluster_security: true"),
    ],
)
def test_hosts_with_certificates_of_their_own_are_not_switched(
    security: ModuleType, variables: dict[str, Any], slave: str, words: str | None
) -> None:
    own = {"mesos_tls": {"ca_file": "/ca", "cert_file": "/cert", "key_file": "/key"}}
    found = switch(security, {"h1": running(master="tls=1 plain=0 sockets=0", slave=slave) | own | variables})
    assert not found["masters_first"]
    assert [words is not None and words in mistake for mistake in found["mistakes"]] == [True] * bool(words)


def test_a_cluster_is_switched_as_a_whole(security: ModuleType) -> None:
    hostvars = {"m1": running(master=OPEN) | {"cluster_security": True}}
    (found,) = security.security_switch(["m1"], hostvars, ["m1", "s1", "s2"])["mistakes"]
    assert "switched as a whole: s1, s2 can't be reached, or --limit leaves them out" in found
    same = {"m1": running(master=SECURED) | {"cluster_security": True}}
    assert security.security_switch(["m1"], same, ["m1", "s1"])["mistakes"] == []


def test_all_hosts_are_secured_or_none(security: ModuleType) -> None:
    hostvars: dict[str, Any] = {"h1": {}, "h2": {"cluster_security": False}}
    (found,) = switch(security, hostvars)["mistakes"]
    assert found == "cluster_security is true for h1 only; it must be the same for all hosts."


def test_peers_who_speak_no_tls_are_understood_if_wished(security: ModuleType) -> None:
    files = {"ca_file": "/ca", "cert_file": "/cert", "key_file": "/key"}
    downgrade = "LIBPROCESS_SSL_SUPPORT_DOWNGRADE=true"
    assert downgrade not in security.tls_environment(files)
    assert downgrade in security.tls_environment(files, or_plain=True)


def test_nothing_changes_without_files(security: ModuleType) -> None:
    assert security.tls_environment({}) == security.tls_files({}) == []
