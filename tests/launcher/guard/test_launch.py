"""What may be started: listed services whose every argument is known, with their data where the policy allows it."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from seamless.launcher.guard.deciding import Decision, decide
from seamless.launcher.guard.refusals import Rejected
from seamless.launcher.guard.services import SERVICES
from seamless.launcher.guard.settings import parse_settings
from seamless.launcher.services import SERVICES as KNOWN
from tests.launcher.guard.conftest import Answer, Ask, Places

MARKERS = ("--clear-policy", "seamless")
OPEN = "--permissive-paths"
ENVIRONMENT = "must be the name or the absolute prefix of an environment"

Launch = Callable[..., Answer]


@pytest.fixture
def launch(ask: Ask, places: Places) -> Launch:
    """Return launch(service words, *options, flags=..., workdir=...)."""

    def launched(
        service: str,
        *options: str,
        flags: tuple[str, ...] | None = None,
        workdir: Path | str | None = None,
        helper: str = "rhl-launch-service",
    ) -> Answer:
        workdir = places.root if workdir is None else workdir
        words = [helper, "--key", "K", "--workdir", str(workdir), *options, "--", *shlex.split(service)]
        return ask(shlex.join(words), *(places.flags if flags is None else flags))

    return launched


def service_of(answer: Answer) -> list[str]:
    assert answer.argv is not None, answer.error
    return answer.argv[answer.argv.index("--") + 1 :]


def test_the_guard_knows_the_services_of_the_launcher() -> None:
    assert set(SERVICES) == set(KNOWN)


def test_a_whole_command_of_a_client_is_accepted(launch: Launch, places: Places, isolation: Path) -> None:
    data = places.root / "project"
    answer = launch(
        f"hashserver --port-range 60100 60200 --status-file '~/.remote-http-launcher/server/K.json' --host 127.0.0.1 "
        f"--timeout 600 {data} --writable",
        "--network-interface", "127.0.0.1", "--parameters", '{"a": "b c"}', "--meta", "{}",
        workdir=data,
    )  # fmt: skip
    state = str(isolation / ".remote-http-launcher" / "server" / "K.json")
    assert service_of(answer) == (
        ["hashserver", "--port-range", "60100", "60200", "--status-file", state, "--host", "127.0.0.1"]
        + ["--timeout", "600", str(data), "--writable"]
    )
    assert answer.argv is not None and answer.argv[:5] == ["rhl-launch-service", "--key", "K", "--workdir", str(data)]
    assert answer.guarded is not None and answer.guarded.paths[0].anchor == str(places.root)


def test_ensure_is_judged_in_the_same_way(launch: Launch, places: Places) -> None:
    assert launch(f"hashserver {places.root}", helper="rhl-ensure").argv is not None
    assert launch(f"hashserver {places.outside}", helper="rhl-ensure").argv is None


# --- services and their arguments -------------------------------------------------------------------


@pytest.mark.parametrize("binary", ["python3", "bash", "/usr/bin/env", "./hashserver", "hashserver2", "~/hashserver"])
def test_only_listed_services_are_started(launch: Launch, binary: str, places: Places) -> None:
    assert launch(f"{binary} {places.root}").reason == f"service binary is not whitelisted: {binary!r}"


def test_a_key_may_be_limited_to_some_services(launch: Launch, places: Places) -> None:
    flags = (*places.flags, "--services", "hashserver")
    assert launch(f"hashserver {places.root}", flags=flags).argv is not None
    reason = launch("seamless-jobserver", flags=flags, workdir="/tmp").reason
    assert reason == "service binary is not whitelisted: 'seamless-jobserver'"


@pytest.mark.parametrize(
    "arguments",
    [
        "{d} --stat ~/.bashrc",
        "{d} --status {d}/x.json",
        "{d} --token-file {d}/x",
        "{d} --cors '*'",
        "{d} --config x",
        "{d} -x",
        "{d} --",
        "{d} {d}",
        "",
        "{d} --writable=1",
        "{d} --writable --writable",
        "{d} --port",
        "{d} --port x",
        "{d} --port-range 1",
        "{d} --port-range=1 2",
        "{d} --timeout 1e3",
        "{d} --timeout -1",
        "{d} --host --writable",
        "{d} --layout other",
        "{d} --lock-timeout ''",
        "--help",
    ],
)
def test_a_service_gets_no_argument_that_is_not_listed(launch: Launch, arguments: str, places: Places) -> None:
    assert launch(f"hashserver {arguments.format(d=places.root)}").argv is None


@pytest.mark.parametrize(
    "path", ["{o}", "{o}/x", "{r}/../data2", "/etc", "data", ".", "~/x", "{r}2", "~root/x", "{r}/l"]
)
def test_the_data_of_a_hashserver_is_in_its_work_directory(launch: Launch, path: str, places: Places) -> None:
    (places.root / "l").symlink_to(places.outside)
    path = path.format(r=places.root, o=places.outside)
    for flags in (places.flags, (OPEN,), MARKERS):
        assert launch(f"hashserver {path}", flags=flags).argv is None


@pytest.mark.parametrize(
    "path", ["{o}/seamless.db", "{r}/../x.db", "seamless.db", "{r}/.ssh", "{r}/.x.db", "{r}/x", "{r}/.ssh/x.db", "{r}/"]
)
def test_the_file_of_a_database_is_in_its_work_directory(launch: Launch, path: str, places: Places) -> None:
    path = path.format(r=places.root, o=places.outside)
    for flags in (places.flags, (OPEN,), MARKERS):
        assert launch(f"seamless-database {path}", flags=flags).argv is None


def test_the_file_of_a_database_is_no_link(launch: Launch, places: Places) -> None:
    (places.root / "seamless.db").symlink_to(places.outside / "seamless.db")
    reason = launch(f"seamless-database {places.root}/seamless.db").reason
    assert "regular file of this account" in reason


def test_data_below_the_work_directory_is_allowed(launch: Launch, places: Places) -> None:
    assert launch(f"hashserver {places.root}/a/b").argv is not None
    assert launch(f"seamless-database --writable {places.root}/a/seamless.db").argv is not None


def test_a_work_directory_is_replaced_by_where_it_leads(launch: Launch, places: Places) -> None:
    (places.root / "real").mkdir()
    (places.root / "link").symlink_to("real")
    answer = launch(f"hashserver {places.root}/link", workdir=places.root / "link")
    assert service_of(answer) == ["hashserver", f"{places.root}/real"]
    assert answer.argv is not None and f"{places.root}/real" in answer.argv[:5]


def test_extra_directories_are_judged_each(launch: Launch, places: Places) -> None:
    (places.root / "a").mkdir()
    good, bad = f"{places.root}/a", str(places.outside)
    answer = launch(f"hashserver {places.root} --extra-dirs '{good};{places.root}'")
    assert service_of(answer)[-1] == f"{good};{places.root}"
    for extra in (f"{good};{bad}", bad, "/etc;", f"{good};relative"):
        assert launch(f"hashserver {places.root} --extra-dirs '{extra}'").argv is None


def test_extra_directories_need_a_marker_if_the_policy_is_one_of_markers(launch: Launch, places: Places) -> None:
    (places.root / ".HASHSERVER_PREFIX").touch()
    command = f"hashserver {places.root} --extra-dirs {places.outside}"
    assert "required marker file" in launch(command, flags=MARKERS).reason
    (places.outside / ".HASHSERVER_PREFIX").touch()
    assert launch(command, flags=MARKERS).argv is not None


def test_a_job_server_may_work_in_the_scratch_directory(launch: Launch, places: Places) -> None:
    for flags in (places.flags, MARKERS, (OPEN,)):
        assert launch("seamless-jobserver --workers 2", workdir="/tmp", flags=flags).argv is not None


def test_the_scratch_directory_is_for_nothing_else(ask: Ask, launch: Launch, places: Places) -> None:
    for command in ("rhl-clear /tmp", "rhl-ps-persistent /tmp"):
        assert ask(command, *places.flags).argv is None
    assert launch("hashserver /tmp", workdir="/tmp", flags=(OPEN,)).argv is None
    assert launch("seamless-jobserver", workdir="/var/tmp", flags=(OPEN,)).argv is None


def test_a_scheduler_gets_only_known_cluster_classes(launch: Launch) -> None:
    answer = launch("seamless-dask-wrapper dask_jobqueue::SLURMCluster --timeout 600", workdir="/tmp")
    assert service_of(answer)[1] == "dask_jobqueue::SLURMCluster"
    for name in ("os::system", "mymodule::Cluster", "distributed::LocalCluster::x", ""):
        assert launch(f"seamless-dask-wrapper '{name}'", workdir="/tmp").argv is None


# --- state files, parameters --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("x.json", "--status-file must be absolute"),
        ("~root/K.json", "--status-file must be absolute"),
        ("/srv/K.json", "--status-file must live under the launcher server directory"),
        ("~/.bashrc", "--status-file must live under the launcher server directory"),
        ("~/.remote-http-launcher/client/K.json", "--status-file must live under the launcher server directory"),
        ("~/.remote-http-launcher/server/../K.json", "--status-file must live under the launcher server directory"),
        ("~/.remote-http-launcher/server/L.json", "--status-file must be the state file of this key, K.json"),
        ("~/.remote-http-launcher/server/K.log", "--status-file must be the state file of this key, K.json"),
    ],
)
def test_the_status_file_is_that_of_the_key(launch: Launch, value: str, reason: str, places: Places) -> None:
    assert launch(f"hashserver --status-file '{value}' {places.root}").reason == reason


def test_the_usual_status_file_stands_for_that_of_this_machine(
    launch: Launch, places: Places, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("REMOTE_HTTP_LAUNCHER_DIR", str(tmp_path / "launcher"))
    answer = launch(f"hashserver --status-file ~/.remote-http-launcher/server/K.json {places.root}")
    assert service_of(answer)[2] == str(tmp_path / "launcher" / "server" / "K.json")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--workd", "/x"), "rhl-launch-service: unknown argument: --workd"),
        (("--workdir", "/x"), "rhl-launch-service: --workdir is given more than once"),
        (("--workdir=/x",), "rhl-launch-service: --workdir is given more than once"),
        (("--parameters", "[]"), "rhl-launch-service: --parameters must be a JSON object"),
        (("--meta", '{"a": NaN}'), "rhl-launch-service: --meta must be valid JSON: NaN is no JSON"),
        (("--conda-env", "../x"), f"rhl-launch-service: --conda-env {ENVIRONMENT}"),
        (("--conda-env", "/opt/../x"), f"rhl-launch-service: --conda-env {ENVIRONMENT}"),
        (("--image", "{}"), "rhl-launch-service: unknown argument: --image"),
        (("word",), "rhl-launch-service: unknown argument: word"),
        (("--network-interface", "-x"), "rhl-launch-service: --network-interface requires a value"),
    ],
)  # fmt: skip
def test_the_options_of_a_launch_are_strict(
    launch: Launch, options: tuple[str, ...], reason: str, places: Places
) -> None:
    assert launch(f"hashserver {places.root}", *options).reason == reason


def test_deeply_nested_parameters_are_refused(launch: Launch, places: Places) -> None:
    assert "must be valid JSON" in launch(f"hashserver {places.root}", "--parameters", '{"a":' * 20000).reason


def test_the_separator_before_the_service_is_needed(ask: Ask, places: Places) -> None:
    command = f"rhl-launch-service --key K --workdir {places.root}"
    for rest in ("hashserver x", "", "--"):
        assert ask(f"{command} {rest}", *places.flags).argv is None


# --- addresses --------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0", "::"])
def test_a_service_may_bind_addresses_of_this_machine(launch: Launch, host: str, places: Places) -> None:
    assert launch(f"hashserver --host {host} {places.root}", "--network-interface", host).argv is not None


@pytest.mark.parametrize("host", ["192.0.2.1", "host.invalid", "2001:db8::1"])
def test_a_service_binds_no_other_address(launch: Launch, host: str, places: Places) -> None:
    assert (
        launch(f"hashserver --host {host} {places.root}").reason == f"--host must be an address of this machine: {host}"
    )
    reason = launch(f"hashserver {places.root}", "--network-interface", host).reason
    assert reason == f"--network-interface must be an address of this machine: {host}"


def test_a_key_may_be_limited_to_the_loopback_interface(launch: Launch, places: Places) -> None:
    flags = (*places.flags, "--bind-loopback")
    for service in (f"hashserver --host 0.0.0.0 {places.root}", f"hashserver {places.root}"):
        answer = launch(service, "--network-interface", "0.0.0.0", flags=flags)
        words = service_of(answer)
        assert words[words.index("--host") + 1] == "127.0.0.1"
        assert answer.argv is not None
        assert answer.argv[answer.argv.index("--network-interface") + 1] == "127.0.0.1"


def test_a_key_may_be_limited_to_one_address_of_this_machine(launch: Launch, places: Places) -> None:
    flags = (*places.flags, "--bind-address", "127.0.0.9")
    answer = launch(f"hashserver --host 0.0.0.0 {places.root}", "--network-interface", "0.0.0.0", flags=flags)
    words = service_of(answer)
    assert words[words.index("--host") + 1] == "127.0.0.9"
    assert answer.argv is not None
    assert answer.argv[answer.argv.index("--network-interface") + 1] == "127.0.0.9"


def test_the_helper_is_told_how_many_services_may_live(launch: Launch, places: Places) -> None:
    answer = launch(f"hashserver {places.root}", flags=(*places.flags, "--max-services", "3"))
    assert answer.guarded is not None and answer.guarded.max_services == 3
    answer = launch(f"hashserver {places.root}")
    assert answer.guarded is not None and answer.guarded.max_services == 100


# --- markers that services make ---------------------------------------------------------------------------


@pytest.mark.parametrize("service", ["hashserver {}", "seamless-database {}/seamless.db"])
def test_a_service_cannot_mark_a_directory_that_holds_other_things(
    launch: Launch, service: str, places: Places
) -> None:
    (places.root / "thesis.tex").touch()
    reason = launch(service.format(places.root), flags=MARKERS).reason
    assert reason.startswith("refusing to start a data service in a directory that holds other things ('thesis.tex')")


@pytest.mark.parametrize("service", ["hashserver {}", "seamless-database {}/seamless.db"])
def test_an_absent_an_empty_and_a_marked_directory_can_be_used(launch: Launch, service: str, places: Places) -> None:
    for prepare in (lambda: None, lambda: (places.root / "seamless.db").touch(), lambda: (places.root / "x").touch()):
        prepare()
        assert launch(service.format(places.root), flags=MARKERS).argv is not None
    absent = places.root / "absent"
    assert launch(service.format(absent), flags=MARKERS, workdir=absent).argv is not None


def test_directories_of_stages_may_be_there_already(launch: Launch, places: Places) -> None:
    for name in ("STAGE-a", "sub/STAGE-b"):
        (places.root / name).mkdir(parents=True)
        (places.root / name / ".HASHSERVER_PREFIX").touch()
    assert launch(f"hashserver {places.root}", flags=MARKERS).argv is not None
    (places.root / "sub" / "notes").touch()
    assert "'notes'" in launch(f"hashserver {places.root}", flags=MARKERS).reason


@pytest.mark.parametrize("odd", ["link", ".git"])
def test_a_link_or_a_hidden_directory_is_something_else(launch: Launch, odd: str, places: Places) -> None:
    if odd == "link":
        (places.root / odd).symlink_to(places.outside)
    else:
        (places.root / odd).mkdir()
    assert launch(f"hashserver {places.root}", flags=MARKERS).argv is None


def test_a_database_cannot_make_the_marker_that_the_policy_names(launch: Launch, places: Places) -> None:
    (places.root / "thesis.tex").touch()
    flags = ("--clear-policy", "marker:ours.db")
    assert "holds other things" in launch(f"seamless-database {places.root}/ours.db", flags=flags).reason
    assert launch(f"seamless-database {places.root}/seamless.db", flags=flags).argv is not None


def test_a_deep_tree_is_not_searched_for_ever(launch: Launch, places: Places) -> None:
    deep = places.root
    for _ in range(40):
        deep = deep / "d"
    deep.mkdir(parents=True)
    assert "holds other things" in launch(f"hashserver {places.root}", flags=MARKERS).reason


# --- container images -------------------------------------------------------------------------------------


@pytest.fixture
def image(tmp_path: Path) -> tuple[Path, tuple[str, str]]:
    """Return an image, and the flags that allow it."""
    (tmp_path / "images").mkdir()
    path, file = tmp_path / "images" / "services.sif", tmp_path / "image-roots"
    path.touch(0o644)
    path.chmod(0o644)
    file.write_text(f"{path.parent}\n")
    file.chmod(0o600)
    return path, ("--image-roots", str(file))


def ensured(launch: Launch, places: Places, flags: tuple[str, ...], **fields: object) -> Answer:
    return launch(
        f"hashserver {places.root}",
        "--image",
        json.dumps(fields),
        helper="rhl-ensure",
        flags=(*places.flags, *flags),
    )


def test_an_image_needs_to_be_in_an_image_root(
    launch: Launch, places: Places, image: tuple[Path, tuple[str, str]]
) -> None:
    path, flags = image
    assert ensured(launch, places, (), path=str(path)).reason == f"image is outside configured --image-roots: {path}"
    assert ensured(launch, places, flags, path=str(path), sha256="0" * 64, options=["--nv"]).argv is not None
    outside = places.outside / "x.sif"
    outside.touch()
    (path.parent / "link.sif").symlink_to(outside)
    for other in (outside, path.parent / "link.sif", path.parent / "absent.sif", path.parent):
        assert ensured(launch, places, flags, path=str(other)).argv is None


def test_an_image_that_others_can_write_is_refused(
    launch: Launch, places: Places, image: tuple[Path, tuple[str, str]]
) -> None:
    path, flags = image
    os.chmod(path, 0o664)
    assert "only this account or root can write" in ensured(launch, places, flags, path=str(path)).reason


@pytest.mark.parametrize(
    "fields",
    [
        {"options": ["--writable"]},
        {"options": ["--bind", "/:/host"]},
        {"options": "--nv"},
        {"env": {"LD_PRELOAD": "x"}},
        {"env": {"HASHSERVER_EXTRA_DIRS": "/etc"}},
        {"env": []},
        {"binds": ["/etc"]},
        {"binds": ["{root}:/usr/bin"]},
        {"binds": ["{root}:{root}:ro,suid"]},
        {"runtime": "/tmp/apptainer"},
        {"path": "/srv/\0x"},
        {"path": "x.sif"},
        {"path": None},
        {"binds": ["/srv/\0x"]},
        {"binds": [{}]},
        {"env": {"TZ": "a\nb"}},
        {"fakeroot": True},
        {"submit": "host"},
        {"submit_binds": ["/etc/slurm"]},
    ],
)
def test_nothing_in_an_image_replaces_code_or_opens_directories(
    launch: Launch, places: Places, image: tuple[Path, tuple[str, str]], fields: dict[str, object]
) -> None:
    path, flags = image
    text = json.dumps({"path": str(path), **fields}).replace("{root}", str(places.root))
    assert ensured(launch, places, flags, **json.loads(text)).argv is None


def test_binds_are_resolved_and_keep_their_name(
    launch: Launch, places: Places, image: tuple[Path, tuple[str, str]]
) -> None:
    path, flags = image
    (places.root / "real").mkdir()
    (places.root / "link").symlink_to("real")
    answer = ensured(launch, places, flags, path=str(path), binds=[f"{places.root}/link"])
    assert answer.argv is not None
    real = f"{places.root}/real"
    assert json.loads(answer.argv[answer.argv.index("--image") + 1])["binds"] == [f"{real}:{real}:rw"]


# --- parameters -------------------------------------------------------------------------------------------


def judged(call: list[str], flags: tuple[str, ...], parameters: object = None) -> Decision:
    return decide(call, parse_settings(flags), parameters=lambda: parameters)  # type: ignore[arg-type,return-value]


@pytest.mark.parametrize("as_input", [True, False])
def test_the_helper_gets_parameters_as_its_input_and_in_no_argument(places: Places, as_input: bool) -> None:
    given = {"token": "open sesame"}
    words = ["--parameters-stdin"] if as_input else ["--parameters", json.dumps(given)]
    call = ["rhl-ensure", "--key", "K", "--workdir", str(places.root), *words, "--", "hashserver", str(places.root)]
    decision = judged(call, places.flags, given)
    assert json.loads(decision.data) == given
    assert "--parameters-stdin" in decision.arguments
    assert "sesame" not in " ".join(decision.arguments)


def test_a_helper_without_parameters_gets_no_input(places: Places) -> None:
    decision = judged(["rhl-ps"], places.flags)
    assert (decision.helper, decision.data) == ("rhl-ps", b"")


def test_directories_of_buffers_are_bound_into_an_image_only_where_the_policy_allows(
    places: Places, image: tuple[Path, tuple[str, str]]
) -> None:
    path, flags = image
    (places.root / "real").mkdir()
    (places.root / "link").symlink_to("real")
    (places.root / "out").symlink_to(places.outside)

    def asked(directory: object) -> Decision:
        image_words = ["--image", json.dumps({"path": str(path)}), "--parameters-stdin"]
        call = ["rhl-ensure", "--key", "K", "--workdir", "/tmp", *image_words, "--", "seamless-jobserver"]
        return judged(call, (*places.flags, *flags), {"buffer": [{"url": "http://h"}, {"remote_directory": directory}]})

    for directory in (str(places.outside), f"{places.root}/out", "/etc", f"{places.outside}/absent", "~/.ssh"):
        with pytest.raises(Rejected):
            asked(directory)
    for directory in ("link", "absent"):
        found = json.loads(asked(f"{places.root}/{directory}").data)["buffer"][1]["remote_directory"]
        assert found == f"{places.root}/{'real' if directory == 'link' else directory}"
    assert json.loads(asked(None).data)["buffer"][1] == {"remote_directory": None}
