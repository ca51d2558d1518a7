"""A program that tells what it is while it is imported by the process that it starts."""

import multiprocessing

import spawn_functions

spawn_functions.report()
if __name__ == "__main__":
    print("SPAWN", flush=True)
    process = multiprocessing.get_context("spawn").Process(target=spawn_functions.report)
    process.start()
    process.join()
else:
    print("MAIN spawned process:", spawn_functions.is_spawned(), flush=True)
