"""An asyncio program with tasks that log. It starts a second instance of itself."""

import asyncio
import logging
import sys
from glob import glob

import writing


async def log_until_rolled_over(source: str) -> None:
    """Log until there are two backups, and switch to another task after each record."""
    logger = logging.getLogger("app")
    number = 0
    while len(glob("app.log.*")) < 2:
        for _ in range(10):
            logger.info("record %s-%d  0", source, number)
            number += 1
            await asyncio.sleep(0)
    writing.report(f"{source} {number}")


async def main(name: str) -> None:
    """Run four tasks, and in the first program also start the second one."""
    tasks = [log_until_rolled_over(f"{name}{number}") for number in range(4)]
    if name == "first":
        second = await asyncio.create_subprocess_exec(sys.executable, __file__, "second")
        await asyncio.gather(*tasks, second.wait())
    else:
        await asyncio.gather(*tasks)


if __name__ == "__main__":
    writing.configure()
    asyncio.run(main(*sys.argv[1:]))
