"""A real Jupyter kernel: blocking calls, `await`, and functions that are defined in cells."""

from __future__ import annotations

import pytest


@pytest.fixture
def kernel(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(startup_timeout=60, extra_arguments=["--HistoryManager.enabled=False"])

    def execute(code):
        reply = client.execute_interactive(code, timeout=60, store_history=False, output_hook=outputs.append)
        text = "".join(o["content"].get("text", "") for o in outputs if o["msg_type"] == "stream")
        assert reply["content"]["status"] == "ok", reply["content"]
        outputs.clear()
        return text

    outputs = []
    yield execute
    client.stop_channels()
    manager.shutdown_kernel(now=True)


@pytest.mark.filterwarnings("ignore")
def test_steps_run_in_a_notebook_blocking_and_awaited(kernel):
    kernel("from seamless.transformer import direct, delayed, parallel\n@direct\ndef double(x):\n    return 2 * x\n")
    assert kernel("print(double(21))") == "42\n"
    kernel("add = delayed(lambda a, b: a + b)")
    assert kernel("print(add(1, 2).run())") == "3\n"
    assert kernel("print(await add(1, 3).task())") == "4\n"
    assert kernel("print(await add(1, 4))") == "5\n"
    assert kernel("print([tf.value for tf in parallel([add(i, i) for i in range(3)])])") == "[0, 2, 4]\n"
