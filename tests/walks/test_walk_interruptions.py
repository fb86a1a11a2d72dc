"""What goes wrong in the middle of an eval: nothing is lost, and nothing is paid for twice."""

from __future__ import annotations

import json
import resource
import signal
import sqlite3

from walking import Walk, wait_for

SLOW = ("eval", "echo", "--variant", "slow", "--concurrency", "2", "--json")


def test_ctrl_c_is_130_and_the_same_command_goes_on(walk: Walk) -> None:
    process = walk.start(*SLOW)
    wait_for(lambda: len(walk.calls) > 12)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 130
    assert json.loads(out)["error"]["code"] == "interrupted"
    assert "goes on" in json.loads(out)["error"]["hint"]
    runs = json.loads(walk.run("runs", "--json").stdout)["runs"]
    assert runs[0]["status"] == "stopped"

    done = walk.run(*SLOW)
    assert json.loads(done.stdout)["verdict"] == "pass"
    _at_most_asked_twice(walk, in_flight=4)


def test_kill_9_loses_at_most_what_was_in_flight(walk: Walk) -> None:
    process = walk.start(*SLOW)
    wait_for(lambda: len(walk.calls) > 12)
    assert json.loads(walk.run("runs", "--json").stdout)["runs"][0]["status"] == "running"
    process.kill()
    process.communicate()
    [killed] = json.loads(walk.run("runs", "--json").stdout)["runs"]
    assert killed["status"] == "interrupted"
    assert "its process is gone" in walk.run("show", killed["id"]).stdout
    done = walk.run(*SLOW)
    found = json.loads(done.stdout)
    assert (done.returncode, found["verdict"]) == (0, "pass")
    # answers reach the disk within about 50 ms; what was under way is asked again
    _at_most_asked_twice(walk, in_flight=16)
    shown = json.loads(walk.run("show", found["run_id"], "--json").stdout)
    assert len(shown["cases"]) == found["checks"][0]["n"], "the report has the cases of the killed run too"


def test_two_evals_at_once_are_one_decision(walk: Walk) -> None:
    first = walk.start(*SLOW)
    wait_for(lambda: len(walk.calls) > 4)
    second = walk.run(*SLOW)
    out, _ = first.communicate(timeout=30)
    assert (first.returncode, json.loads(out)["verdict"]) == (0, "pass")
    # turned away while the first is at work, or given its verdict when it came just after
    answer = json.loads(second.stdout)
    assert (second.returncode, answer.get("stored")) in ((3, None), (0, True))
    assert second.returncode == 0 or "another eval" in answer["error"]["message"]
    assert len(walk.calls) == len(set(walk.calls))


def test_cases_that_change_under_a_running_eval_are_refused(walk: Walk) -> None:
    process = walk.start(*SLOW)
    wait_for(lambda: len(walk.calls) > 4)
    rows = [walk.case(i, expected="changed" if i == 3 else f"hello {i}") for i in range(120)]
    walk.write_cases("cases.jsonl", rows)
    out, _ = process.communicate(timeout=30)
    error = json.loads(out)["error"]
    assert (process.returncode, error["code"]) == (3, "dataset_changed")
    assert error["file"].endswith("cases.jsonl")
    assert walk.run(*SLOW).returncode == 0, "the new cases can be decided on"


def test_records_locked_by_another_process(walk: Walk) -> None:
    walk.eval("--variant", "perfect", "--limit", "2")
    database = walk.folder / ".shiftright" / "records.db"
    with sqlite3.connect(database, isolation_level=None) as held:
        held.execute("BEGIN EXCLUSIVE")
        # it waits 30 s unless the URL says otherwise
        url = f"sqlite:///{database}?timeout=0.3"
        done = walk.run("eval", "echo", "--variant", "perfect", "--json", records_url=url)
        held.execute("ROLLBACK")
    assert (done.returncode, json.loads(done.stdout)["error"]["code"]) == (3, "store")
    held.close()
    assert walk.eval("--variant", "perfect")[0] == 0


def test_a_full_disk_is_an_error_and_what_was_written_counts(walk: Walk) -> None:
    walk.eval("--variant", "perfect", "--limit", "2")
    size = (walk.folder / ".shiftright" / "records.db").stat().st_size

    def no_room() -> None:
        # a file-size limit fails like a full disk does, with an error from write(), once the signal is ignored
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size // 4, resource.RLIM_INFINITY))

    done = walk.run("eval", "echo", "--variant", "same", "--json", preexec_fn=no_room)
    assert done.returncode == 3
    assert json.loads(done.stdout)["error"]["code"] == "store"
    code, found = walk.eval("--variant", "perfect")
    assert (code, found["verdict"]) == (0, "pass")


def test_a_closed_pipe_is_no_traceback(walk: Walk) -> None:
    walk.eval("--variant", "perfect", "--limit", "2")
    process = walk.start("runs", "--json")
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(timeout=20) == 141
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.stderr.close()


def _at_most_asked_twice(walk: Walk, *, in_flight: int) -> None:
    assert len(walk.calls) - len(set(walk.calls)) <= in_flight
