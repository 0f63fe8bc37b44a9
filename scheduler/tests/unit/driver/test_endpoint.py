from __future__ import annotations

import pytest
from mesos_docker_scheduler.driver.endpoint import Endpoint, parse_endpoint, redirect_target


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("master", "master", 5050),
        ("master:5051", "master", 5051),
        ("10.0.0.1:80", "10.0.0.1", 80),
        ("[::1]", "::1", 5050),
        ("[fe80::1%eth0]:5051", "fe80::1%eth0", 5051),
        (" master ", "master", 5050),
    ],
)
def test_addresses_are_read(text: str, host: str, port: int) -> None:
    assert parse_endpoint(text) == Endpoint(host, port)


@pytest.mark.parametrize(
    "text", ["", ":5050", "master:", "master:x", "::1", "a b", "user@master", "master:5050/x", "мастер"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no address of a master"):
        parse_endpoint(text)


@pytest.mark.parametrize("port", ["0", "65536", "99999"])
def test_impossible_ports_are_refused(port: str) -> None:
    with pytest.raises(ValueError, match=f"port {port} is not allowed; it must be 1 to 65535"):
        parse_endpoint(f"master:{port}")


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("//leader:5051/api/v1/scheduler", Endpoint("leader", 5051)),
        ("leader:5051", Endpoint("leader", 5051)),
        ("http://leader:5051/", Endpoint("leader", 5051)),
        ("https://leader:5051", Endpoint("leader", 5051, tls=True)),
        ("//[::1]:5051/x", Endpoint("::1", 5051)),
        ("//leader", Endpoint("leader", 5050)),
    ],
)
def test_redirects_are_read(location: str, target: Endpoint) -> None:
    assert redirect_target(location, Endpoint("master")) == target


def test_a_redirect_without_a_scheme_keeps_tls() -> None:
    target = redirect_target("//leader:5051/x", Endpoint("master", tls=True))
    assert target == Endpoint("leader", 5051, tls=True)


@pytest.mark.parametrize("location", ["", "/api/v1/scheduler", "ftp://leader:21", "//"])
def test_redirects_that_lead_nowhere_are_refused(location: str) -> None:
    with pytest.raises(ValueError, match=r"redirected|no address"):
        redirect_target(location, Endpoint("master"))


def test_a_redirect_from_tls_to_plain_http_is_refused() -> None:
    with pytest.raises(ValueError, match="redirected from TLS to 'http://leader:5050' without; not followed"):
        redirect_target("http://leader:5050", Endpoint("master", tls=True))


def test_a_resolved_address_keeps_the_name_for_the_certificate() -> None:
    resolved = Endpoint("leader", 5051, tls=True).at("10.0.0.1")
    assert (str(resolved), resolved.certificate_name) == ("10.0.0.1:5051", "leader")
    assert str(resolved.at("::1")) == "[::1]:5051"
    assert resolved.at("::1").certificate_name == "leader"
