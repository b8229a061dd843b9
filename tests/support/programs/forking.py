"""A program that forks while its threads log. The parent's threads and the children share one handler."""

import os
import threading

import writing


def work(source: str) -> None:
    """Log from a thread."""
    writing.report(writing.log_until_rolled_over(source))


if __name__ == "__main__":
    writing.configure()
    threads = [threading.Thread(target=work, args=(source,)) for source in ("t", "u", "v")]
    for thread in threads:
        thread.start()
    children = []
    for number in range(20):
        child = os.fork()
        if child == 0:
            try:
                work(f"child{number}")
            finally:
                os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    for thread in threads:
        thread.join()
