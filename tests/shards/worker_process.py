"""A worker for test_processes.py, in a process of its own: several threads that work on whatever they may.

worker_process.py SIDE MOUNTED-FILE LOG: each item is a line "start KEY SECONDS" and a line "end KEY SECONDS" in its own
log, in the one clock of the machine, written before the item does anything and after it has done all. Prints the port
of its metrics.
"""

from __future__ import annotations

import os
import random
import sys
import threading
import time
from contextlib import suppress

from syncrollout.shards import NotOwned, Shards, serve

KEYS = [f"listing-{number}" for number in range(60)]
THREADS = 3


def main() -> None:
    side, path, log = sys.argv[1:]
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    shards = Shards(side, path, uid=str(os.getpid()), interval=0.005)

    def write(what: str, key: str) -> None:
        os.write(file, f"{what} {key} {time.monotonic()!r}\n".encode())  # one write a line: kill -9 tears none

    def work() -> None:
        rng = random.Random()
        while True:
            key = rng.choice(KEYS)
            with suppress(NotOwned), shards.item(key):
                write("start", key)
                time.sleep(rng.uniform(0.0, 0.02))
                write("end", key)
            time.sleep(rng.uniform(0.0, 0.004))

    print(serve(shards, address="127.0.0.1").port, flush=True)
    for _ in range(THREADS):
        threading.Thread(target=work, daemon=True).start()
    sys.stdin.read()  # until the test is gone


if __name__ == "__main__":
    main()
