"""An asyncio program whose tasks log, and which starts a second one of its kind."""

import asyncio
import logging
import sys
from glob import glob

import writing


async def log_until_rolled_over(source: str) -> None:
    """Log, and let other tasks log, until there are two backups."""
    logger = logging.getLogger("app")
    number = 0
    while len(glob("app.log.*")) < 2:
        for _ in range(10):
            logger.info("record %s-%d  0", source, number)
            number += 1
            await asyncio.sleep(0)
    writing.tell(f"{source} {number}")


async def main(name: str) -> None:
    """Run four tasks, and the second program."""
    tasks = [log_until_rolled_over(f"{name}{number}") for number in range(4)]
    if name == "first":
        second = await asyncio.create_subprocess_exec(sys.executable, __file__, "second")
        await asyncio.gather(*tasks, second.wait())
    else:
        await asyncio.gather(*tasks)


if __name__ == "__main__":
    writing.configure()
    asyncio.run(main(*sys.argv[1:]))
