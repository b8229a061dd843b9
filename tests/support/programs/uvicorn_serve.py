"""A program that imports our package and then runs uvicorn. Argument: the descriptor of the listening socket."""

import sys

import uvicorn

import concurrent_log

if __name__ == "__main__":
    print(f"concurrent_log {concurrent_log.__version__}")
    uvicorn.run("asgi:application", fd=int(sys.argv[1]), workers=3, lifespan="off", log_config="logging.ini")
