"""`seamless-run --qsubmit`, `seamless-queue`, `seamless-queue-finish` as a user has them."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from tests.cli.queueing.conftest import Place
from tests.cli.run.processes import alive, wait_for


def test_all_files_are_delivered_with_their_sidecars(place: Place) -> None:
    for i in range(6):
        place.submit(f"sort a.txt > s{i}.txt")
    status, _ = place.finish()
    assert status == 0
    assert {(place.work / f"s{i}.txt").read_text() for i in range(6)} == {"a\nb\nb\nc\n"}
    assert all((place.work / f"s{i}.txt.CHECKSUM").stat().st_size == 65 for i in range(6))
    assert place.files() == {"a.txt", *(f"s{i}.txt" for i in range(6))}


def test_a_chain_of_steps_is_worked_off_in_order(place: Place) -> None:
    place.submit("sort a.txt > s.txt")
    place.submit("uniq -c s.txt > u.txt")
    place.submit("-i", "u.txt", "-cp", "d", "mkdir d; cp u.txt d/x")
    place.submit("sort -rn d/x > last.txt")
    status, _ = place.finish("--workers", "4")
    assert status == 0
    assert (place.work / "last.txt").read_text().split() == ["2", "b", "1", "c", "1", "a"]


def test_the_steps_of_a_chain_have_the_identity_that_they_have_one_by_one(place: Place) -> None:
    place.submit("sort a.txt > s.txt")
    place.submit("uniq -c s.txt > u.txt")
    place.finish()
    for line in ("sort a.txt > s.txt", "uniq -c s.txt > u.txt"):
        assert json.loads(place.run("seamless-run", "--json", line).stdout)["cached"] is True


def test_a_directory_with_results_of_the_queue_is_an_input(place: Place) -> None:
    place.submit("--prologue", "mkdir out", "sort a.txt > out/x")
    place.submit("--prologue", "mkdir out", "rev a.txt > out/y")
    place.submit("-c", "cat out/x out/y > both.txt")
    place.submit("-i", "out/?", "-c", "cat out/* > all.txt")
    status, _ = place.finish()
    assert status == 0
    assert (place.work / "both.txt").read_text() == (place.work / "all.txt").read_text() == "a\nb\nb\nc\nb\na\nc\nb\n"


def test_steps_run_at_the_same_time(place: Place) -> None:
    meeting = place.root / "meeting"
    meeting.mkdir()
    for i in range(3):
        # Each ends only when all three have begun.
        line = f"touch {meeting}/{i}; until test $(ls {meeting} | wc -l) = 3; do sleep 0.01; done; echo {i}"
        place.submit("-c", f"{line} > m{i}")
    status, _ = place.finish("--workers", "3")
    assert status == 0


def test_no_more_steps_run_at_once_than_there_are_workers(place: Place) -> None:
    for i in range(4):
        place.submit("-c", f"mkdir {place.root}/alone; rmdir {place.root}/alone; echo {i} > n{i}")
    status, _ = place.finish("--workers", "1")
    assert status == 0


def test_a_step_that_is_known_is_not_executed_again(place: Place) -> None:
    line = f"echo ran >> {place.count}; sort a.txt > s.txt"
    place.run("seamless-run", "-i", "a.txt", line)
    (place.work / "s.txt").unlink()
    place.submit("-i", "a.txt", line)
    place.finish()
    assert place.executions() == ["ran"]
    assert (place.work / "s.txt").exists()


def test_the_inputs_are_those_of_the_submission(place: Place) -> None:
    place.submit("cat a.txt > one.txt")
    (place.work / "a.txt").write_text("new\n")
    place.submit("cat a.txt > two.txt")
    (place.work / "a.txt").unlink()
    place.finish()
    assert (place.work / "one.txt").read_text() == "b\na\nc\nb\n"
    assert (place.work / "two.txt").read_text() == "new\n"


def test_a_file_that_is_written_twice_is_read_in_between_by_the_step_in_between(place: Place) -> None:
    place.submit("-c", "echo one > x")
    place.submit("cat x > first")
    place.submit("-c", "echo two > x")
    place.submit("cat x > second")
    status, _ = place.finish("--workers", "4")
    assert status == 0
    assert [(place.work / name).read_text() for name in ("first", "second", "x")] == ["one\n", "two\n", "two\n"]


def test_steps_from_another_directory_deliver_there(place: Place) -> None:
    other = place.root / "other"
    other.mkdir()
    (other / "b.txt").write_text("x\n")
    here, place.work = place.work, other
    place.environment["SEAMLESS_QUEUE_FILE"] = str(here / ".seamless-queue")
    place.submit("cat b.txt > c.txt")
    place.submit("cat c.txt > d.txt")
    place.work = here
    status, _ = place.finish()
    assert status == 0
    assert (other / "d.txt").read_text() == "x\n"


def test_a_failure_is_told_once_with_its_log_and_what_depends_on_it_never_runs(place: Place) -> None:
    place.submit("-c", "echo oh no >&2; exit 3 > f.txt")
    place.submit("cat f.txt > g.txt")
    place.submit("cat a.txt > h.txt")
    status, err = place.finish()
    assert status == 1
    assert (place.work / "h.txt").exists()
    assert "1/3 done, 0 running, 1 failed, 1 blocked" in err
    summary = err[err.index("1/3 done") :]
    assert summary.count("exit status 3: oh no") == 1
    assert "job 2 blocked" in summary and "it needs a result of job 1, which is failed" in summary
    log = next(line.split("log: ")[1] for line in summary.splitlines() if "log: " in line)
    assert "oh no\n" in (place.work / log).read_text()
    assert place.files() == {"a.txt", "h.txt", ".seamless-queue.logs"}


def test_finish_has_the_status_1_if_a_step_has_failed(place: Place) -> None:
    place.submit("-c", "false > f.txt")
    place.start("seamless-queue")
    done = place.run("seamless-queue-finish")
    assert done.returncode == 1
    assert "0 of 1 jobs are done, 1 failed" in done.stderr


def test_with_fail_fast_nothing_more_is_started_and_the_file_stays(place: Place) -> None:
    place.submit("-c", "false > f.txt")
    place.submit("cat a.txt > g.txt")
    status, err = place.finish("--workers", "1", "--fail-fast")
    assert status == 1
    assert "1 failed, 1 stopped" in err
    assert not (place.work / "g.txt").exists()
    assert place.queue.exists()


def test_a_step_that_makes_nothing_has_failed(place: Place) -> None:
    place.submit("-cp", "d", "mkdir -p d/e")
    status, err = place.finish()
    assert (status, "EXCEPTION" in err) == (1, True)


def test_futures_are_there_from_the_submission_to_the_end_and_never_longer(place: Place) -> None:
    gate = place.root / "gate"
    place.submit("-c", f"echo x >> {place.count}; until test -e {gate}; do sleep 0.01; done; echo 1 > b2")
    server = place.start("seamless-queue")
    wait_for(place.executions)
    tf, _, name = (place.work / "b2.FUTURE").read_text().partition(".")
    assert (len(tf), name) == (64, "b2\n")
    server.send_signal(signal.SIGINT)
    _, err = server.communicate(timeout=30)
    assert server.returncode == 130
    assert "1 stopped" in err and "start it again" in err
    assert place.files() == {"a.txt", ".seamless-queue", ".seamless-queue.journal", ".seamless-queue.logs"}


def test_another_command_waits_for_what_the_queue_makes(place: Place) -> None:
    gate = place.root / "gate"
    place.submit("-c", f"until test -e {gate}; do sleep 0.01; done; echo made > x")
    place.start("seamless-queue")
    place.wait_for("x.FUTURE")
    reader = place.start("seamless-run", "cat", "x")
    assert reader.stderr is not None
    assert "Waiting for future" in reader.stderr.readline()
    gate.touch()
    assert reader.communicate(timeout=30)[0] == "made\n"


def test_a_killed_step_is_run_again(place: Place) -> None:
    place.submit("-c", f"echo x >> {place.count}; test $(wc -l < {place.count}) -gt 1 || kill -9 $$; echo ok > k")
    status, _ = place.finish()
    assert status == 0
    assert len(place.executions()) == 2


def test_a_step_that_is_killed_again_and_again_fails(place: Place) -> None:
    place.submit("-c", f"echo x >> {place.count}; kill -9 $$; echo ok > k")
    status, err = place.finish("--retries", "2")
    assert status == 1
    assert "exit status 137" in err
    assert len(place.executions()) == 3


def test_a_plain_failure_is_not_run_again(place: Place) -> None:
    place.submit("-c", f"echo x >> {place.count}; exit 1 > k")
    place.finish()
    assert len(place.executions()) == 1


def test_a_second_server_is_refused(place: Place) -> None:
    place.submit("cat a.txt > b.txt")
    first = place.start("seamless-queue")
    place.wait_for("b.txt")
    second = place.run("seamless-queue")
    assert second.returncode == 2
    assert f"process {first.pid}" in second.stderr


def test_what_is_submitted_after_the_end_was_announced_is_done_too(place: Place) -> None:
    gate = place.root / "gate"
    place.submit("-c", f"until test -e {gate}; do sleep 0.01; done; echo 1 > x")
    server = place.start("seamless-queue")
    place.wait_for("x.FUTURE")
    finish = place.start("seamless-queue-finish")
    wait_for(lambda: b'"EOF"' in place.queue.read_bytes())
    place.submit("cat x > y")
    gate.touch()
    server.communicate(timeout=30)
    finish.communicate(timeout=30)
    assert (server.returncode, finish.returncode) == (0, 0)
    assert (place.work / "y").read_text() == "1\n"


def test_finish_without_queue_makes_one_that_holds_the_end_only(place: Place) -> None:
    done = place.run("seamless-queue-finish")
    assert done.returncode == 0
    assert json.loads(place.queue.read_bytes()[:-1])["queue_command"] == "EOF"
    assert place.run("seamless-queue").returncode == 0
    assert place.files() == {"a.txt"}


def test_finish_gives_up_after_its_timeout(place: Place) -> None:
    place.submit("cat a.txt > b.txt")
    done = place.run("seamless-queue-finish", "--timeout", "0.1")
    assert done.returncode == 1
    assert "no seamless-queue works on" in done.stderr and "not finished after 0.1 s" in done.stderr
    assert place.files() == {"a.txt", ".seamless-queue"}


def test_finish_can_cancel_what_runs_and_what_waits(place: Place) -> None:
    pid = place.root / "pid"
    place.submit("-c", f"echo $$ > {pid}; sleep 100; echo 1 > x")
    place.submit("cat x > y")
    server = place.start("seamless-queue")
    wait_for(lambda: pid.exists() and pid.read_text().strip())
    done = place.run("seamless-queue-finish", "--cancel")
    server.communicate(timeout=30)
    assert (done.returncode, server.returncode) == (1, 1)
    assert "2 stopped" in done.stderr
    wait_for(lambda: not alive(int(pid.read_text())))
    assert not place.queue.exists() and not (place.work / "x.FUTURE").exists()


def test_a_queue_without_server_can_be_canceled(place: Place) -> None:
    place.submit("cat a.txt > b.txt")
    assert place.run("seamless-queue-finish", "--cancel").returncode == 0
    assert place.files() == {"a.txt"}


def test_the_status_tells_how_far_the_queue_is(place: Place) -> None:
    place.submit("cat a.txt > b.txt")
    place.submit("-c", "false > c.txt")
    assert "0/2 done, 0 running, 0 failed" in place.run("seamless-queue", "--status").stdout
    server = place.start("seamless-queue")
    wait_for(lambda: "1/2 done, 0 running, 1 failed" in place.run("seamless-queue", "--status").stdout)
    assert f"process {server.pid}" in place.run("seamless-queue", "--status").stdout
    rows = [json.loads(line) for line in place.run("seamless-queue", "--status", "--json").stdout.splitlines()]
    assert [(row["job"], row["state"], row["exit_status"]) for row in rows] == [(1, "done", None), (2, "failed", 1)]


def test_a_project_that_the_server_does_not_have_is_named(place: Place) -> None:
    place.submit("--project", "fruit", "cat a.txt > b.txt")
    status, err = place.finish()
    assert status == 1
    assert "--project fruit" in err
    place.submit("--project", "fruit", "cat a.txt > b.txt")
    assert place.finish("--project", "fruit")[0] == 0


def test_variables_and_environment_travel_with_the_step(place: Place) -> None:
    place.submit("--var", "A=1 2", "--metavar", "B=x", "-c", 'echo "$A" "$B" > v.txt')
    place.finish()
    assert (place.work / "v.txt").read_text() == "1 2 x\n"


def test_a_time_limit_travels_with_the_step(place: Place) -> None:
    place.submit("--timeout", "0.2", "-c", "sleep 60; echo 1 > v.txt")
    status, err = place.finish()
    assert status == 1
    assert "exit status 124" in err


def test_a_scratch_step_delivers_its_checksum_only_and_is_known(place: Place) -> None:
    place.submit("--scratch", "sort a.txt > s.txt")
    place.finish()
    assert (place.work / "s.txt.CHECKSUM").exists()
    assert not (place.work / "s.txt").exists()


def test_results_above_the_limit_are_delivered_as_sidecars_unless_wanted(place: Place) -> None:
    place.environment["SEAMLESS_MAX_DOWNLOAD_SIZE"] = "1 B"
    place.submit("sort a.txt > small.txt")
    place.submit("-y", "sort -r a.txt > wanted.txt")
    place.finish()
    assert place.files() == {"a.txt", "wanted.txt"}
    assert (place.work / "small.txt.CHECKSUM").exists()


def test_bad_records_are_named_and_the_rest_is_done(place: Place) -> None:
    place.queue.write_bytes(b"\xff\xfe\0{not json\0" + b'{"queue_command": "DANCE"}\0')
    place.submit("sort a.txt > s.txt")
    status, err = place.finish()
    assert status == 1
    for text in ("Command is not valid text", "Command is not valid JSON", "not a valid queue command"):
        assert text in err
    assert (place.work / "s.txt").exists()


def test_quiet_says_nothing_but_errors(place: Place) -> None:
    place.submit("sort a.txt > s.txt")
    assert place.finish("-q") == (0, "")


def test_a_terminal_shows_one_line_of_progress(place: Place) -> None:
    master, slave = os.openpty()
    gate = place.root / "gate"
    place.submit("sort a.txt > s.txt")
    place.submit("-i", "s.txt", "-c", f"until test -e {gate}; do sleep 0.01; done; cat s.txt > x")
    server = place.start("seamless-queue", stderr=slave)
    os.close(slave)
    text = ""
    while "1/2 done, 1 running, 0 failed" not in text:
        text += os.read(master, 65536).decode()
    gate.touch()
    place.run("seamless-queue-finish", "-q")
    assert server.wait(30) == 0
    text += os.read(master, 65536).decode()
    os.close(master)
    assert "\r" in text and "all 2 jobs are done" in text
    assert "FINISHED" not in text


def test_the_dashboard_shows_the_jobs_to_who_knows_its_address(place: Place) -> None:
    from urllib.error import HTTPError
    from urllib.request import urlopen

    def fetch(url: str) -> bytes:
        with urlopen(url) as answer:
            return bytes(answer.read())

    gate = place.root / "gate"
    line = f"until test -e {gate}; do sleep 0.01; done; echo '<b>' >&2; echo 1 > x"
    place.submit("-c", line)
    server = place.start("seamless-queue", "--dashboard")
    assert server.stderr is not None
    url = server.stderr.readline().split()[-1]
    wait_for(lambda: b'class="running"' in fetch(url))
    page = fetch(url).decode()
    assert "&lt;b&gt;" in page and "<b>" not in page
    assert json.loads(fetch(url + "status.json"))[0]["state"] == "running"
    base = url.rstrip("/").rpartition("/")[0]
    with pytest.raises(HTTPError, match="404"):
        fetch(base + "/")
    gate.touch()
    wait_for(lambda: b'class="done"' in fetch(url))
    assert fetch(url + "log/1") == b"<b>\n"


def test_no_step_leaves_a_temporary_file(place: Place) -> None:
    place.submit("sort a.txt > s.txt")
    place.submit("-c", "false > f.txt")
    place.finish()
    assert list(Path(place.environment["TMPDIR"]).iterdir()) == []


def test_a_step_waits_for_the_files_of_a_pattern(place: Place) -> None:
    place.submit("-cp", "out/*.csv", "mkdir out; sleep 0.2; echo made > out/p.csv; echo > out/q.csv")
    place.submit("cat out/p.csv > seen.txt")
    assert place.finish("--workers", "2")[0] == 0
    assert (place.work / "seen.txt").read_text() == "made\n"
    assert not list(place.work.rglob("*.FUTURE"))


def test_a_pattern_that_may_stand_for_files_without_names_yet_is_refused(place: Place) -> None:
    place.submit("-cp", "out/*.csv", "mkdir out; echo made > out/p.csv")
    done = place.run("seamless-run", "--qsubmit", "-i", "out/p*", "cat out/p* > seen.txt")
    assert done.returncode == 2
    assert "is not known before the step of the queue with the capture" in done.stderr
    assert "seamless-queue-finish" in done.stderr
