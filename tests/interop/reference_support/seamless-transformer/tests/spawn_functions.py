"""What the processes of the programs beside this file tell about themselves."""

from seamless_transformer.util import in_spawned_main_toplevel, is_spawned


def report() -> None:
    """Tell how this process was started, and whether it is still importing the program."""
    print("FUNC spawned process:", is_spawned(), flush=True)
    print("From spawned toplevel", in_spawned_main_toplevel(), flush=True)
