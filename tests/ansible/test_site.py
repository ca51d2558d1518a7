"""site.yml against two machines with an sshd each: a front end and a compute node; the client is this machine."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.ansible.site import ACCOUNT, FRONT, NODE, Site
from tests.helpers.machines import Machines
from tests.helpers.sshd import missing, signal_quietly, tunnels

pytestmark = [pytest.mark.ansible, pytest.mark.netns, pytest.mark.xdist_group("ansible"), pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def sites() -> Iterator[list[Site]]:
    """Return the list for the one site of all tests here; it ends with them."""
    made: list[Site] = []
    yield made
    for site in made:
        for pid in tunnels(site.place.home):
            signal_quietly(pid, signal.SIGTERM)
        site.machines.close()


@pytest.fixture
def site(
    sites: list[Site],
    require: Callable[[object, str], None],
    tools: Path,
    dist: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Site:
    require(not missing(), missing())
    require(os.path.exists("/usr/sbin/slurmctld"), "SLURM is missing")
    if not sites:
        sites.append(Site(tmp_path_factory.mktemp("site"), Machines((FRONT, NODE)), tools, dist))
    return sites[0]


def test_to_look_at_fresh_machines_changes_nothing(site: Site) -> None:
    assert site.looked.status == 0, site.looked.output
    assert site.looked.changed[FRONT] > 0
    assert site.files_after_look == site.before


def test_the_first_run_converges(site: Site) -> None:
    assert site.first.status == 0, site.first.output
    assert site.first.failed == set()


def test_the_second_run_changes_nothing(site: Site) -> None:
    assert site.second.status == 0, site.second.output
    assert site.second.changed == {FRONT: 0, NODE: 0, "workstation": 0}, site.second.output


def test_to_look_at_what_is_right_finds_nothing_to_change(site: Site) -> None:
    assert site.looked_again.changed == {FRONT: 0, NODE: 0, "workstation": 0}, site.looked_again.output


def test_the_key_has_one_line(site: Site) -> None:
    (line,) = site.keys
    assert line.startswith(f'restrict,port-forwarding,permitopen="{site.machines.address(FRONT)}:*",permitlisten=')
    assert "rhl-guard --data-roots /etc/seamless/data-roots-seamless --services" in line


def test_a_key_that_the_account_gives_itself_opens_nothing(site: Site) -> None:
    assert site.used["planted"].returncode == 255
    assert "Permission denied" in site.used["planted"].stderr


def test_the_guarded_key_can_do_nothing_else(site: Site) -> None:
    assert site.used["refused"].returncode == 1
    assert "rhl-guard: rejected: command not in whitelist: 'ls /'" in site.used["refused"].stderr


def test_the_guarded_key_opens_no_port_and_no_socket_of_the_machine(site: Site) -> None:
    for asked in ("ports", "sockets"):
        assert site.used[asked].returncode == 255
        assert "forwarding failed" in site.used[asked].stderr


def test_sshd_forbids_the_account_what_no_line_of_a_key_can(site: Site) -> None:
    wanted = {"allowstreamlocalforwarding no", "permitlisten none", "permittty no", "passwordauthentication no"}
    assert wanted <= site.used["sshd"]


def test_a_step_of_a_job_is_a_hit_for_a_client_with_the_guarded_key(site: Site) -> None:
    assert site.used["job"] == "a\nb\n"
    explained = site.used["explained"]
    assert explained.returncode == 0, explained.stderr
    assert explained.stdout == "a\nb\n"
    assert "seamless-run: cached: result" in explained.stderr


def test_a_step_of_the_client_is_a_hit_for_a_job(site: Site) -> None:
    assert site.used["own"].stdout == site.used["job again"] == "a\nb\n"
    assert site.used["ran"] == f"{NODE}\nclient\n"


def test_a_step_of_a_client_with_the_guarded_key_is_executed_in_a_job(site: Site) -> None:
    done = site.remote["done"]
    assert (done.returncode, done.stdout) == (0, "a\nb\n"), done.stderr
    node, number = site.remote["where"].split()
    assert node == NODE
    assert f"JobId={number} " in site.remote["job"]
    assert f"UserId={ACCOUNT}(" in site.remote["job"] and f"NodeList={NODE}" in site.remote["job"]


def test_services_listen_where_nodes_reach_them_and_nowhere_else(site: Site) -> None:
    names = ("hashserver", "seamless-database", "seamless-dask-wrapper")
    assert site.remote["ports"] == dict.fromkeys(names, site.machines.address(FRONT))


def test_services_of_the_old_version_end_with_an_upgrade_and_nothing_is_lost(site: Site) -> None:
    run = site.upgraded["run"]
    assert run.status == 0, run.output
    again = site.upgraded["run again"]
    assert again.changed == {FRONT: 0, NODE: 0, "workstation": 0}, again.output
    assert site.upgraded["served"]
    assert site.upgraded["served after"] == []
    assert site.upgraded["hit"].stdout == "a\nb\n"
    assert "seamless-run: cached: result" in site.upgraded["hit"].stderr


def test_uninstalling_leaves_what_was_computed_unless_told_otherwise(site: Site) -> None:
    left = site.files_after_kept - site.before[FRONT]
    assert any(path.endswith("seamless.db") for path in left)
    assert not any(path.startswith(("/opt/", "/usr/local/")) for path in left)
    assert str(site.home / ".ssh" / "authorized_keys") in left  # it is not ours


def test_nobody_can_log_in_to_an_account_that_stays(site: Site) -> None:
    assert site.closed.returncode == 255


def test_uninstalling_leaves_no_trace(site: Site) -> None:
    assert site.removed.status == 0, site.removed.output
    assert {name: site.machines.files(name) for name in (FRONT, NODE)} == site.before
    assert {name: site.running(name) for name in (FRONT, NODE)} == site.running_before
    assert site.machines.run(FRONT, "squeue", "--noheader", "--states=pending,running").stdout == ""
    assert not site.data.exists() and not site.home.exists()
    assert not (site.place.home / ".seamless" / "clusters").exists()
    assert site.machines.run(FRONT, "id", ACCOUNT, check=False).returncode != 0


def test_to_uninstall_what_is_not_there_changes_nothing(site: Site) -> None:
    assert site.removed_again.status == 0, site.removed_again.output
    assert site.removed_again.changed == {FRONT: 0, NODE: 0, "workstation": 0}, site.removed_again.output
