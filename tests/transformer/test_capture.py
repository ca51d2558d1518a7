"""Output of one thread, taken while the others write on."""

from __future__ import annotations

import asyncio
import contextvars
import io
import logging
import sys
import threading
from collections.abc import Callable

import pytest

from seamless.transformer.capture import capture


def on_console(test: Callable[[io.StringIO], None]) -> Callable[[], None]:
    """Call the test with what stands for the terminal while it runs (pytest exchanges the streams before each call)."""

    def run() -> None:
        console = io.StringIO()
        before = sys.stdout, sys.stderr
        sys.stdout = sys.stderr = console
        try:
            test(console)
        finally:
            sys.stdout, sys.stderr = before

    run.__name__ = test.__name__
    return run


@on_console
def test_both_streams_are_taken_and_nothing_reaches_the_console(console: io.StringIO) -> None:
    with capture() as out:
        print("é")
        print("bad", file=sys.stderr)
        sys.stdout.buffer.write(b"\xff\n")
        sys.stdout.buffer.flush()
        sys.stdout.writelines(["a", "b"])
        sys.stdout.flush()
    assert (out.stdout, out.stderr) == ("é\n".encode() + b"\xff\nab", b"bad\n")
    assert console.getvalue() == ""


@on_console
def test_the_streams_are_put_back(console: io.StringIO) -> None:
    with pytest.raises(ValueError, match="boom"), capture():
        raise ValueError("boom")
    assert sys.stdout is console
    assert sys.stderr is console


@on_console
def test_another_thread_is_not_captured(console: io.StringIO) -> None:
    with capture() as out:
        thread = threading.Thread(target=print, args=("other",))
        thread.start()
        thread.join()
        print("own")
    assert out.stdout == b"own\n"
    assert console.getvalue() == "other\n"


@on_console
def test_two_threads_capture_at_the_same_time(console: io.StringIO) -> None:
    barrier = threading.Barrier(2, timeout=10)
    found: dict[str, bytes] = {}

    def work(name: str) -> None:
        with capture() as out:
            barrier.wait()
            print(name)
            barrier.wait()
        found[name] = out.stdout

    threads = [threading.Thread(target=work, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {"a": b"a\n", "b": b"b\n"}
    assert sys.stdout is console


@on_console
def test_a_copy_of_the_context_is_captured_too(console: io.StringIO) -> None:
    async def main() -> None:
        await asyncio.gather(asyncio.to_thread(print, "thread"), asyncio.sleep(0))

    with capture() as out:
        asyncio.run(main())
        thread = threading.Thread(target=contextvars.copy_context().run, args=(print, "copy"))
        thread.start()
        thread.join()
    assert out.stdout == b"thread\ncopy\n"


@on_console
def test_of_nested_captures_the_innermost_takes_all(console: io.StringIO) -> None:
    with capture() as outer:
        print(1)
        with capture() as inner:
            print(2)
        print(3)
    assert (outer.stdout, inner.stdout) == (b"1\n3\n", b"2\n")


@on_console
def test_the_middle_of_long_output_is_left_out(console: io.StringIO) -> None:
    with capture(limit=4) as out:
        for piece in ["ab", "cdef", "ghijklmnop", "qrst", "uvw", "xyz"]:
            sys.stdout.write(piece)
    assert out.stdout == b"abcd\n[... 18 bytes left out ...]\nwxyz"


@on_console
def test_output_up_to_twice_the_limit_is_complete(console: io.StringIO) -> None:
    with capture(limit=4) as out:
        sys.stdout.write("abcdefgh")
    assert out.stdout == b"abcdefgh"


@on_console
def test_each_piece_is_handed_on_as_it_is_written(console: io.StringIO) -> None:
    pieces: list[tuple[str, bytes]] = []
    with capture(lambda stream, data: pieces.append((stream, data))):
        sys.stdout.write("a")
        assert pieces == [("stdout", b"a")]
        sys.stderr.write("b")
        sys.stderr.write("")
    assert pieces == [("stdout", b"a"), ("stderr", b"b")]


@on_console
def test_a_captured_stream_looks_like_a_utf8_file(console: io.StringIO) -> None:
    with capture() as out:
        assert sys.stdout.isatty() is False
        assert sys.stdout.encoding == "utf-8"
        assert sys.stdout.write("abc") == 3
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
        sys.stdout.close()
        with pytest.raises(TypeError, match="must be str, not bytes"):
            sys.stdout.write(b"x")  # type: ignore[arg-type]
    assert out.stdout == b"abc"
    assert not console.closed


@on_console
def test_undecodable_names_and_lone_surrogates_can_be_written(console: io.StringIO) -> None:
    with capture() as out:
        print(b"\xff".decode("utf-8", "surrogateescape"))
        print("\ud800")
    assert out.stdout == b"\xff\n\\ud800\n"


@on_console
def test_a_log_handler_made_inside_still_works_outside(console: io.StringIO) -> None:
    logger = logging.getLogger("test_capture_handler")
    logger.propagate = False
    with capture() as out:
        handler = logging.StreamHandler()
        logger.addHandler(handler)
        logger.warning("inside")
    logger.warning("outside")
    logger.removeHandler(handler)
    assert out.stderr == b"inside\n"
    assert console.getvalue() == "outside\n"


@on_console
def test_a_stream_that_was_replaced_inside_stays_and_does_not_loop(console: io.StringIO) -> None:
    class Tee:
        def __init__(self, below: object) -> None:
            self.below = below

        def write(self, text: str) -> int:
            return self.below.write(text.upper())  # type: ignore[attr-defined, no-any-return]

    with capture():
        sys.stdout = Tee(sys.stdout)  # type: ignore[assignment]
        print("inside")
    assert isinstance(sys.stdout, Tee)
    with capture() as out:
        print("taken")
    print("free")
    assert out.stdout == b"taken\n"
    assert console.getvalue() == "FREE\n"


def test_without_a_console_nothing_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    with capture() as out:
        thread = threading.Thread(target=print, args=("lost",))
        thread.start()
        thread.join()
        print("kept")
    assert out.stdout == b"kept\n"
    assert sys.stdout is None


def test_live_output_goes_where_the_caller_prints(capsys):
    from seamless.transformer import delayed

    def talks(x):
        print("h\u00e9llo")
        return x

    step = delayed(talks)
    step.direct_print = True
    step(1).run()
    assert capsys.readouterr().out == "h\u00e9llo\n"


def test_live_output_joins_a_character_that_comes_in_pieces(capsys):
    from seamless.transformer.capture import live_output

    show = live_output()
    show("stderr", b"\xc3")
    show("stderr", b"\xa9")
    assert capsys.readouterr().err == "\u00e9"
