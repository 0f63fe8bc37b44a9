"""The status page, in Chromium, as the deployed web server gives it over a controller driven by hand."""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from certificates import SelfSigned
from hand_driven_site import TOKEN, HandDrivenSite
from mesos_docker_scheduler import web
from mesos_docker_scheduler.control import events
from mesos_docker_scheduler.control.operations import Operations
from mesos_docker_scheduler.observability.snapshot import Leader
from mesos_docker_scheduler.records.tokens import Role, digest, new_token
from scheduler_fakes import Bench, offer_message, service
from selenium.webdriver import Keys
from selenium.webdriver.common.by import By

pytestmark = pytest.mark.browser

Visit = Callable[..., Any]

HOSTILE = "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>"
LONG_IMAGE = "registry.example.com:5000/a-long-organisation/a-service-with-a-very-long-name:2026.11.25-abcdef"


def settle(site: HandDrivenSite) -> None:
    """Let so much time pass that what runs is called ready, and updates go on."""
    site.do(lambda bench: bench.take(after=60))


def fail_all(site: HandDrivenSite, message: str, times: int = 6) -> None:
    """Have whatever is launched fail, again and again."""

    def fail(bench: Bench) -> None:
        for _ in range(times):
            bench.offer("a", "b")
            for info in bench.launched():
                agent = info["agent_id"]["value"]
                bench.tell(info["task_id"]["value"], "FAILED", agent, message=message)
            bench.take(after=40)

    site.do(fail)


def operate(site: HandDrivenSite, work: Callable[[Operations, float], None]) -> None:
    """Have somebody else change something."""
    answers: list[Exception | None] = []
    site.do(lambda bench: bench.take(events.Command(work, answers.append)))
    assert answers == [None]


def made(site: HandDrivenSite, name: str, role: Role) -> str:
    """A token of the API that somebody has made."""
    token = new_token()
    operate(
        site,
        lambda operations, now: operations.create_token(name, role, digest(token), "somebody else", now),
    )
    return token


def test_what_changes_is_shown_without_reloading(visit: Visit) -> None:
    page = visit(service(count=2))
    page.open()
    page.sees("#headline", "1 of 1 service needs attention")
    page.run("window.same = true; document.querySelector('#services tr').same = true")
    page.site.run("a", "b")
    settle(page.site)
    page.sees("#services", "2 of 2", "Healthy")
    page.sees("#headline", "The service is healthy")
    page.sees("#events", "converged")
    assert page.run("return window.same && document.querySelector('#services tr').same")


def test_an_update_is_shown_step_by_step(visit: Visit) -> None:
    page = visit(service(count=2))
    site = page.site
    site.run("a", "b")
    settle(site)
    page.open("/services/web")
    page.sees("#service-state", "Healthy")
    site.configure(service(count=2, image="demo/web:2"))
    page.sees("#service-update", "Update under way", "demo/web:1 → demo/web:2", "0 of 2 ready")
    assert page.buttons("#actions") == ["Scale", "Pause the update", "Roll back", "Restart"]
    site.run("a", "b")
    settle(site)
    page.sees("#service-update", "1 of 2 ready")
    page.sees("#service-state", "Updating")
    page.sees("#instances", "replaced by a newer version")
    old = [task.id for task in site.view().tasks if task.kill_reason]
    assert len(old) == 1
    site.do(lambda bench: bench.tell(old[0], "KILLED"))
    page.until(lambda: old[0] not in page.text("#instances"), "the old instance stays")


def test_a_service_without_an_image(visit: Visit) -> None:
    mesos = {"containerizer": "mesos", "network": "host", "user": "ann", "image": None, "command": "x"}
    page = visit(service(count=1), service(name="tool", **mesos))
    site = page.site
    site.run("a", "b")
    settle(site)
    page.open()
    page.sees("#services", "demo/web:1", "a command (mesos)")
    page.element("#filter-name").send_keys("command")
    page.until(lambda: "web" not in page.text("#services"), "the filter")
    page.sees("#services", "tool")
    page.open("/services/tool")
    page.sees("#service-image", "a command (mesos)")
    site.configure(service(count=1), service(name="tool"))
    page.sees("#service-update", "a command → demo/web:1")


def test_a_failed_update_says_why_and_what_can_be_done(visit: Visit) -> None:
    page = visit(service(count=2), service(name="api"))
    site = page.site
    site.run("a", "b")
    settle(site)
    site.configure(service(count=2, image="demo/web:broken"), service(name="api"))
    page.open()
    fail_all(site, "manifest not found")
    page.sees("#headline", "1 of 2 services needs attention")
    first_row = page.text("#services tr")
    assert "web" in first_row
    assert "Update failed" in first_row
    assert "manifest not found" in first_row
    page.element("#services a").click()
    page.sees("#service-update", "Update failed: paused", "demo/web:1 → demo/web:broken")
    page.sees("#waiting-list", "manifest not found")
    assert page.buttons("#actions") == ["Scale", "Resume the update", "Roll back", "Restart"]


def test_a_lost_master_is_said_at_once_and_so_is_the_next(visit: Visit) -> None:
    page = visit(service(count=1))
    page.site.run("a")
    settle(page.site)
    page.open()
    page.sees("#headline", "The service is healthy")
    page.site.disconnect()
    page.sees("#notices", "The scheduler has no connection to Mesos")
    page.sees("#mesos", "no Mesos master")
    page.sees("#headline", "Last known")
    assert page.element("#notices").get_attribute("aria-live") == "assertive"
    page.site.connect()
    page.misses("#notices")
    page.sees("#mesos", "m1:5050")


def test_one_that_follows_says_where_changes_are_made(visit: Visit) -> None:
    page = visit(service(count=2))
    page.site.run("a", "b")
    settle(page.site)
    leader = Leader("scheduler2", "https://scheduler2.example.org:8090")
    shown = page.site.bench.controller.snapshot
    page.site.shown = replace(shown, connected=False, master=None, leads=False, leader=leader)
    page.open("/services/web")
    page.sees("#notices", "This scheduler follows: the scheduler on scheduler2 leads.")
    link = page.element("#notices a")
    assert (link.text, link.get_attribute("href")) == ("Go to scheduler2", f"{leader.url}/services/web")
    page.sees("#instances", "Output")
    assert "Kill" not in page.buttons("#instances")
    assert page.buttons("#actions") == []
    page.sees("#actions-elsewhere", "Changes are made at the scheduler that leads.")
    page.site.shown = replace(shown, leads=False, leader=Leader("x", "javascript:alert(1)"))
    page.sees("#notices", "the scheduler on x leads")
    assert page.element("#notices a").get_attribute("href") is None
    page.site.shown = replace(shown, leads=False, problem="zk://z/: can't be read")
    page.sees("#notices", "This scheduler could not lead now: zk://z/: can't be read.")
    page.sees("#notices", "This scheduler follows: it knows of none that leads.", "Read at 20")
    page.site.shown = None
    page.sees("#actions", "Scale")


def test_a_broken_configuration_is_said(visit: Visit) -> None:
    page = visit(service())
    page.open()
    page.site.do(lambda bench: bench.take(events.ConfigRead(None, "sha", f"line 3: {HOSTILE}")))
    page.sees("#notices", "The configuration file has errors", f"line 3: {HOSTILE}")


def test_a_lost_scheduler_is_said_at_once_and_found_again(visit: Visit) -> None:
    page = visit(service(count=1))
    page.refusals_expected = True
    page.open()
    page.site.shut()
    page.sees("#notices", "The connection to the scheduler is lost", "ago. Trying again")
    page.sees("#link", "Not connected")
    page.site.run("a")
    page.site.open_again()
    page.sees("#link", "Live")
    page.misses("#notices")
    page.sees("#services", "1 of 1")


def test_a_wrong_token_is_refused_and_the_right_one_scales(visit: Visit) -> None:
    page = visit(service(count=2))
    page.refusals_expected = True
    page.open("/services/web")
    page.button("Scale").click()
    page.enter("3")
    page.sees("dialog", "a token of the scheduler")
    page.enter("not-the-token")
    page.sees("dialog", "The token is wrong")
    assert page.site.view().wanted == 2
    page.enter(TOKEN)
    page.sees("#outcome", "web is scaled to 3")
    page.sees("#overridden", "Scaled by hand to 3; the configuration says 2")
    assert page.site.view().wanted == 3
    # Nothing that scripts can read has the token, or the session's secret.
    readable = "document.documentElement.outerHTML + location.href + document.cookie"
    (cookie,) = page.browser.get_cookies()
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["secure"]) == (True, "Strict", False)
    for secret in (TOKEN, cookie["value"]):
        assert secret not in page.run(f"return {readable}")
    assert page.run("return localStorage.length + sessionStorage.length") == 0


def test_who_logs_out_can_change_nothing_any_more(visit: Visit) -> None:
    page = visit(service())
    page.refusals_expected = True
    page.open("/services/web")
    page.button("Log in").click()
    page.enter(TOKEN)
    page.sees("#access", "site (admin)")
    (cookie,) = page.browser.get_cookies()
    page.browser.refresh()
    page.sees("#access", "site (admin)")
    page.button("Log out").click()
    page.sees("#access", "Log in")
    assert page.browser.get_cookies() == []
    # The old cookie is worth nothing, even to who has kept it.
    page.browser.add_cookie({"name": cookie["name"], "value": cookie["value"]})
    page.browser.refresh()
    page.sees("#link", "Live")
    page.sees("#access", "Log in")


def test_a_session_that_has_ended_asks_again(visit: Visit) -> None:
    page = visit(service(count=2))
    page.refusals_expected = True
    page.open("/services/web")
    token = made(page.site, "ann", "operate")
    page.log_in(token)
    page.sees("#access", "ann (operate)")
    operate(page.site, lambda operations, now: operations.revoke_token("ann", "somebody else", now))
    page.button("Scale").click()
    page.enter("3")
    page.sees("dialog", "a token of the scheduler")
    page.enter(TOKEN)
    page.sees("#outcome", "web is scaled to 3")
    page.sees("#access", "site (admin)")
    page.sees("#events", "scaled from 2 to 3; the configuration says 2 (site, from 127.0.0.1)")


def test_who_may_only_read_is_told_when_he_changes_something(visit: Visit) -> None:
    page = visit(service(count=2))
    page.refusals_expected = True
    page.open("/services/web")
    page.log_in(made(page.site, "bob", "read"))
    page.button("Scale").click()
    page.enter("3")
    page.sees("#outcome", 'Not done: the token "bob" has the role read; this needs operate')
    assert page.site.view().wanted == 2


def test_where_reading_needs_a_token_it_is_asked_for(visit: Visit) -> None:
    page = visit(service(count=4), access=web.Access(TOKEN, "token"))
    page.refusals_expected = True
    page.browser.get(page.site.url)
    page.sees("#notices", "Reading needs a token here")
    assert page.text("#services") == ""
    page.button("Log in", "#notices").click()
    page.enter(made(page.site, "bob", "read"))
    page.sees("#link", "Live")
    page.sees("#services", "0 of 4")
    operate(page.site, lambda operations, now: operations.revoke_token("bob", "somebody else", now))
    page.sees("#notices", "Reading needs a token here")
    page.sees("#access", "Log in")


def test_over_tls_the_session_goes_over_nothing_else(visit: Visit, tmp_path: Path) -> None:
    files = SelfSigned(tmp_path)
    page = visit(service(count=2), certificate=web.Certificate(str(files.cert_file), str(files.key_file)))
    page.open("/services/web")
    page.button("Log in").click()
    page.enter(TOKEN)
    page.sees("#access", "site (admin)")
    assert page.browser.get_cookies()[0]["secure"] is True
    page.button("Scale").click()
    page.enter("3")
    page.sees("#outcome", "web is scaled to 3")


def test_what_somebody_else_has_changed_is_not_overwritten_unseen(visit: Visit) -> None:
    page = visit(service(count=2))
    page.refusals_expected = True
    page.open("/services/web")
    page.log_in(TOKEN)
    page.button("Scale").click()
    page.sees("dialog", "2 instances wanted now")
    operate(page.site, lambda operations, now: operations.scale("web", 7, "somebody else", now))
    page.enter("4")
    page.sees("#outcome", "Not done: web has changed since you looked")
    page.sees("#service-figures", "0 of 7")
    assert page.site.view().wanted == 7


def test_what_can_do_harm_is_asked_first(visit: Visit) -> None:
    page = visit(service(count=2))
    page.site.run("a", "b")
    page.open("/services/web")
    page.log_in(TOKEN)
    page.button("Scale").click()
    page.enter("0")
    page.sees("dialog", "Stop all of web?")
    assert page.run("return document.activeElement.textContent") == "Cancel"
    page.press(Keys.ESCAPE)
    page.until(lambda: not page.browser.find_elements(By.TAG_NAME, "dialog"), "the dialog stays")
    assert page.run("return document.activeElement.textContent") == "Scale"
    assert page.site.view().wanted == 2
    page.button("Scale").click()
    page.enter("0")
    page.button("Stop all", "dialog").click()
    page.sees("#outcome", "web is scaled to 0")
    page.button("Reset to the configuration").click()
    page.button("Reset", "dialog").click()
    page.until(lambda: page.site.view().wanted == 2, "it is not reset")


def test_what_is_no_number_is_not_sent(visit: Visit) -> None:
    page = visit(service(count=2))
    page.open("/services/web")
    page.button("Scale").click()
    page.enter("1000000")
    page.until(
        lambda: page.browser.find_elements(By.CSS_SELECTOR, "dialog[open] input:invalid"), "it is taken"
    )
    assert page.site.view().wanted == 2


def test_an_update_can_be_paused_resumed_and_rolled_back(visit: Visit) -> None:
    page = visit(service(count=2))
    site = page.site
    site.run("a", "b")
    settle(site)
    site.configure(service(count=2, image="demo/web:2"))
    page.open("/services/web")
    page.log_in(TOKEN)
    page.button("Pause the update").click()
    page.sees("#service-update", "Update paused, by an operator")
    page.button("Resume the update").click()
    page.sees("#service-update", "Update under way")
    page.button("Roll back").click()
    page.sees("dialog", "Its instances return to demo/web:1")
    page.button("Roll back", "dialog").click()
    page.sees("#service-update", "Rolled back, by an operator")
    assert "Roll back" not in page.buttons("#actions")


def test_one_instance_can_be_killed(visit: Visit) -> None:
    page = visit(service(count=2))
    first, second = page.site.run("a", "b")
    page.open("/services/web")
    page.log_in(TOKEN)
    page.button(f"Kill {first}").click()
    page.button("Kill", "dialog").click()
    page.sees("#outcome", f"{first} is being stopped")
    page.sees("#instances", "an operator asked for it")
    stopping = [task.id for task in page.site.view().tasks if task.stopping]
    assert stopping == [first]
    assert f"Kill {second}" == page.button(f"Kill {second}").get_attribute("aria-label")


@pytest.mark.parametrize("path", ["/", "/services/web"])
def test_hostile_texts_stay_texts(visit: Visit, path: str) -> None:
    page = visit(service(count=1))
    page.open(path)
    fail_all(page.site, HOSTILE)
    page.sees("#events", HOSTILE)
    page.sees("#services" if path == "/" else "#waiting-list", HOSTILE)
    assert page.run("return window.hacked === undefined")
    assert page.run("return document.querySelectorAll('script').length") == 1
    assert page.run("return document.images.length") == 0


@pytest.mark.parametrize("path", ["/", "/services/web"])
def test_everything_can_be_reached_with_the_keyboard(visit: Visit, path: str) -> None:
    page = visit(service(count=2))
    page.site.run("a", "b")
    page.open(path)
    page.sees("#events", "running")
    if path != "/":
        page.sees("#instances", "host-b")
    # Of radio buttons the chosen one alone is a stop; the arrows choose others.
    wanted = page.run(
        """
        const all = document.querySelectorAll('a[href], button, input, select, summary');
        const stops = [...all].filter((one) => one.type !== 'radio' || one.checked);
        window.missed = new Set(stops.filter((one) => one.checkVisibility()));
        return window.missed.size;
        """
    )
    assert wanted > 5
    for _ in range(wanted + 5):
        page.press(Keys.TAB)
        page.run("window.missed.delete(document.activeElement)")
    assert page.run("return [...window.missed].map((one) => one.outerHTML)") == []


def test_a_service_is_opened_with_the_keyboard(visit: Visit) -> None:
    page = visit(service(count=1), service(name="api", image="demo/api:1"))
    page.open()
    page.sees("#services", "api")
    page.press(Keys.TAB)
    assert page.run("return document.activeElement.className") == "skip"
    assert page.run("return getComputedStyle(document.activeElement).outlineStyle") != "none"
    page.press(Keys.ENTER)
    page.until(lambda: page.run("return document.activeElement.id") == "content", "it skips nothing")
    page.element("#filter-name").send_keys("web")
    page.until(lambda: len(page.browser.find_elements(By.CSS_SELECTOR, "#services tr")) == 1, "no filter")
    page.element("#services a").send_keys(Keys.ENTER)
    page.sees("h1#service-name", "web")


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_nothing_is_in_the_way_of_those_who_see_little_or_nothing(visit: Visit, colours: str) -> None:
    page = visit(service(count=2), service(name="api", image="demo/api:1"))
    page.site.run("a", "b")
    settle(page.site)
    page.site.configure(service(count=2, image="demo/web:2"), service(name="api", image="demo/api:1"))
    fail_all(page.site, "exit status 1")
    page.colours(colours)
    for path in ("/", "/services/web"):
        page.open(path)
        page.sees("#events", "exit status 1")
        assert page.barriers() == ""
    page.button("Scale").click()
    assert page.barriers() == ""


@pytest.mark.parametrize("path", ["/", "/services/a-service-with-quite-a-long-name"])
def test_a_narrow_window_needs_no_scrolling_to_the_side(visit: Visit, path: str) -> None:
    name = "a-service-with-quite-a-long-name"
    page = visit(service(name=name, count=2, image=LONG_IMAGE))
    page.site.run("a", "b")
    settle(page.site)
    page.site.configure(service(name=name, count=2, image=f"{LONG_IMAGE}0"))
    fail_all(page.site, "x" * 300)
    page.width(320)
    page.open(path)
    page.sees("#events", "x" * 300)
    assert page.run("return document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    if path != "/":
        page.button("Scale").click()
        assert page.run("return document.querySelector('dialog').getBoundingClientRect().right") <= 320


def test_of_many_services_those_that_need_somebody_come_first(visit: Visit) -> None:
    names = [f"service-{number:03}" for number in range(100)]
    page = visit(*(service(name=name, count=1, cpus=0.1, mem=32) for name in names))
    page.site.do(lambda bench: bench.launch("a", "b", "c", "d"))
    settle(page.site)
    page.open()
    page.sees("#headline", "All 100 services are healthy")
    rows = functools.partial(page.browser.find_elements, By.CSS_SELECTOR, "#services tr")
    assert len(rows()) == 25
    (lost,) = (task.id for task in page.site.view("service-077").tasks)
    page.site.do(lambda bench: bench.tell(lost, "FAILED", message="out of memory"))
    page.until(lambda: "service-077" in rows()[0].text, "it does not come first")
    page.button("Show 25 more").click()
    assert len(rows()) == 50
    page.element("#filter-name").send_keys("service-09")
    page.until(lambda: len(rows()) == 10, "the filter does nothing")
    assert "name=service-09" in page.browser.current_url


def test_instances_are_shown_by_slave(visit: Visit) -> None:
    page = visit(service(count=3))
    page.site.run("a", "b")
    page.open()
    page.element("#agents > summary").click()
    page.sees("#agents-list", "host-a", "host-b")
    page.element("#agents-list summary").click()
    page.sees("#agents-list .inner", "web", "running")


def test_charts_say_in_words_what_they_show(visit: Visit) -> None:
    page = visit(service(count=2))
    page.site.run("a", "b")
    page.open("/services/web")
    page.sees("#service-charts", "2 of 2 wanted run", "0 failures")
    labels = page.run(
        "return [...document.querySelectorAll('svg')].map((one) => one.getAttribute('aria-label'))"
    )
    assert labels[0].startswith("Instances: 2 of 2 wanted run")
    assert labels[1].startswith("Launches and failures: ")


def test_a_service_that_is_not_configured_is_said_to_be_none(visit: Visit) -> None:
    page = visit(service())
    page.refusals_expected = True
    page.open("/services/wep")
    page.sees("#service", "The configuration names no such service")
    assert not page.element("#actions").is_displayed()


class Slave(BaseHTTPRequestHandler):
    """Gives what an instance has written, as a slave does (/files/read)."""

    output = b""

    def do_GET(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        offset = int(query["offset"][0])
        part = {"data": "", "offset": len(self.output)}
        if offset >= 0:
            part = {"data": self.output[offset:].decode(), "offset": offset}
        body = json.dumps(part).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


@pytest.fixture
def slave() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Slave) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_what_an_instance_writes_is_followed(
    visit: Visit, slave: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = visit(service(count=1))
    address = {"scheme": "http", "address": {"ip": "127.0.0.1", "port": slave}, "path": "/slave(1)"}
    offer = offer_message("a", more={"url": address})
    page.site.do(lambda bench: bench.take(events.Offers((offer,))))
    page.site.do(lambda bench: bench.take(after=1))
    (task_id,) = (task.id for task in page.site.view().tasks)
    page.site.do(lambda bench: bench.tell(task_id, "RUNNING"))
    monkeypatch.setattr(Slave, "output", b"first line\n")
    page.open("/services/web")
    link = page.until(lambda: page.element("#instances a"), "there is no way to the sandbox")
    page.until(link.is_displayed, "the way to the sandbox is not shown")
    path = f"/frameworks/framework/executors/{task_id}/runs/latest"
    sandbox = urlsplit(link.get_attribute("href"))
    assert (sandbox.netloc, sandbox.path) == (f"127.0.0.1:{slave}", "/files/browse")
    assert parse_qs(sandbox.query) == {"path": [path]}
    page.button(f"Output of {task_id}").click()
    page.enter(TOKEN)
    page.sees("#log-text", "first line")
    monkeypatch.setattr(Slave, "output", f"first line\n{HOSTILE}\n".encode())
    page.sees("#log-text", HOSTILE)
    assert page.run("return document.querySelector('#log-text').childElementCount") == 0
    page.button("Close", "#log").click()
    assert not page.element("#log").is_displayed()
