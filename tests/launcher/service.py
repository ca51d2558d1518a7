"""A tiny HTTP service that follows the protocol of the launcher, or breaks it in one way. Run as a script.

service.py MODE --status-file FILE [GATE]: modes are the keys of MODES; some wait for the file GATE.
"""

import json
import os
import signal
import socket
import sys
import time

MODE, FILE = sys.argv[1], sys.argv[3]
GATE = sys.argv[4] if len(sys.argv) > 4 else None


def wait_for_gate():
    while GATE and not os.path.exists(GATE):
        time.sleep(0.01)


def report(**fields):
    with open(FILE) as f:
        state = json.load(f)
    state.update(fields)
    with open(FILE + ".tmp", "w") as f:
        json.dump(state, f)
    os.rename(FILE + ".tmp", FILE)
    return state


def listen():
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(100)
    return listener, listener.getsockname()[1]


def serve(listener, answer):
    while True:
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(5)
            try:
                data = connection.recv(65536)
                if data:
                    connection.sendall(answer(data))
            except OSError:
                continue


def http(status=b"200 OK", headers=b""):
    return lambda data: b"HTTP/1.1 " + status + b"\r\n" + headers + b"Content-Length: 2\r\n\r\nOK"


with open(FILE) as f:
    STATE = json.load(f)  # it is there before the service begins: the launcher promises that
with open("starts.txt", "a") as f:
    f.write(f"{os.getpid()} {sorted(os.listdir('/proc/self/fd'))} {os.getsid(0)}\n")
print("hello from", MODE, flush=True)

if MODE == "dies":
    print("OSError: the disk is full", file=sys.stderr)
    sys.exit(7)
if MODE == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
if MODE == "fails":
    report(status="failed", error="port range exhausted")
    sys.exit(3)
if MODE == "never":
    while True:
        signal.pause()
if MODE == "stubborn":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if MODE == "family":
    if os.fork() == 0:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with open("child.txt.tmp", "w") as f:
            f.write(str(os.getpid()))
        os.rename("child.txt.tmp", "child.txt")
        while True:
            signal.pause()
    while not os.path.exists("child.txt"):
        time.sleep(0.01)
if MODE == "gated":
    wait_for_gate()

server, port = listen()
if MODE == "wrong-port":
    unused, port = listen()
    unused.close()
if MODE == "dashboard":
    second, second_port = listen()
    report(port=port, dashboard_port=second_port, status="running")
    serve(second, http())
if MODE == "no-port":
    report(status="running")
else:
    report(port=port, status="running", token="secret-" + str(os.getpid()))
if MODE == "mute":
    serve(server, lambda data: b"")
elif MODE == "unwell":
    serve(server, http(b"503 Service Unavailable"))
elif MODE == "header":
    serve(server, http(headers=b"X-Seamless-Launch-Id: " + STATE["launch_id"].encode() + b"\r\n"))
elif MODE == "foreign-header":
    serve(server, http(headers=b"X-Seamless-Launch-Id: another\r\n"))
else:
    serve(server, http())
