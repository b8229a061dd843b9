"""A multiprocessing.Pool whose workers inherit or create their handler and are terminated at the end."""

import multiprocessing

import writing

if __name__ == "__main__":
    with multiprocessing.Pool(4, writing.configure) as pool:
        for line in pool.imap_unordered(writing.log_until_rolled_over, "abcd"):
            writing.report(line)
