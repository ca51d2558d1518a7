"""A program that starts a process which imports no program."""

import multiprocessing

import spawn_functions

if __name__ == "__main__":
    process = multiprocessing.get_context("spawn").Process(target=spawn_functions.report)
    process.start()
    process.join()
