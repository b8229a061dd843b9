"""A PgBouncer in front of the tests' PostgreSQL server."""

import os
import urllib.parse

from support.private_services import PrivateService, Program

_USER = "nobody"  # PgBouncer refuses to run as root.


class PgBouncer(PrivateService):
    """A PgBouncer with few server connections, so that its clients share them.

    Args:
        program: Finds a program.
        target: The address of a database.
        mode: ``session`` or ``transaction``.
    """

    def __init__(self, program: Program, target: str, mode: str) -> None:
        super().__init__(program)
        self._target = urllib.parse.urlsplit(target)
        self._mode = mode

    @property
    def address(self) -> str:
        """The address of the database, through PgBouncer."""
        return self._target._replace(netloc=f"{self._target.username}@127.0.0.1:{self.port}").geturl()

    def _prepare(self) -> None:
        target = self._target
        password = f" password={target.password}" if target.password else ""
        # As by default, an unknown startup parameter is an error.
        (self.folder / "pgbouncer.ini").write_text(
            f"[databases]\n* = host={target.hostname} port={target.port or 5432} user={target.username}{password}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {self.port}\nunix_socket_dir =\n"
            f"auth_type = any\npool_mode = {self._mode}\n"
            f"default_pool_size = {3 if self._mode == 'transaction' else 30}\n"
        )
        self.folder.chmod(0o755)

    def _command(self) -> list[str]:
        as_user = ["--user", _USER] if os.geteuid() == 0 else []
        return [self.program("pgbouncer"), *as_user, str(self.folder / "pgbouncer.ini")]
