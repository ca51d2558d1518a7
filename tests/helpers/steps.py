"""Functions that the tests make steps of; a counter file shows how often one has really run."""


def add(a, b):
    return a + b


def counted(x, counter):
    with open(counter, "a") as f:
        f.write("x")
    return x * 2


def fails(x):
    print("before the failure")
    raise ValueError("bad", x)


def scaled(x, factor=5):
    return x * factor
