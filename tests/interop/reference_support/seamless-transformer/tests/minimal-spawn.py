"""A program with worker processes, and with a guard."""

from seamless.transformer import spawn

if __name__ == "__main__":
    import seamless

    spawn(1)
    seamless.close()
    print("STOP")
