"""Real services that tests may freeze and kill. Each runs in its own process and folder, on free ports.

Each has a user `USER` with the password `PASSWORD` and, if the service has databases, a database `DATABASE`.
"""

import contextlib
import functools
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pymysql
import trustme

from support.deadlines import DEADLINE
from support.freezing import freeze_group

USER, PASSWORD, DATABASE = "shopkeeper", "opensesame-7f3", "ledger_of_shop"

Program = Callable[[str], str]


@functools.cache
def authority() -> trustme.CA:
    """Return the certificate authority of the services."""
    return trustme.CA()


def ca_file(folder: Path, ca: trustme.CA | None = None) -> Path:
    """Return a file with the certificate of an authority; defaults to that of the services."""
    path = folder / "ca.pem"
    (ca or authority()).cert_pem.write_to_path(str(path))
    return path


def free_port() -> int:
    """Return a port on which no program listens.

    It is below the range of ports that the system assigns by itself, to connections and to servers of other tests.
    """
    while True:
        port = random.SystemRandom().randrange(10_000, 32_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


class PrivateService:
    """A process that serves on `port` and, if it supports TLS, on `tls_port`. Use it in a ``with`` statement."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.folder = Path(tempfile.mkdtemp(prefix="service-"))
        self.port, self.tls_port = free_port(), free_port()
        issued = authority().issue_cert("localhost", "127.0.0.1")
        self.certificate, self.key = self.folder / "certificate.pem", self.folder / "key.pem"
        issued.cert_chain_pems[0].write_to_path(str(self.certificate))
        issued.private_key_pem.write_to_path(str(self.key))
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "PrivateService":
        try:
            self._prepare()
            self.start()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *reason: object) -> None:
        self.remove()

    def start(self) -> None:
        """Start it, or start it again after `kill`."""
        with (self.folder / "log.txt").open("wb") as log:
            self._process = subprocess.Popen(
                self._command(), cwd=self.folder, env={**os.environ, **self._variables()}, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self._wait()

    def _prepare(self) -> None:
        """Create the files that the process needs."""

    def _command(self) -> list[str]:
        """Return the command line of the server."""
        raise NotImplementedError

    def _variables(self) -> dict[str, str]:
        """Return additional environment variables."""
        return {}

    def _is_ready(self) -> bool:
        """Return whether it is ready. An OSError means that it is not."""
        with socket.create_connection(("127.0.0.1", self.port), 5):
            return True

    def _wait(self) -> None:
        assert self._process is not None
        give_up_at = time.monotonic() + DEADLINE
        while True:
            with contextlib.suppress(OSError):
                if self._is_ready():
                    return
            if time.monotonic() > give_up_at or self._process.poll() is not None:
                raise RuntimeError((self.folder / "log.txt").read_text(errors="replace")[-3000:])
            time.sleep(0.02)

    def freeze(self) -> None:
        """Stop all its processes, without ending them, and return when none of them runs."""
        assert self._process is not None
        assert self._process.poll() is None, "the service has ended by itself"
        freeze_group(self._process.pid)

    def thaw(self) -> None:
        """Continue after `freeze`."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """Kill it, and return when its port is closed."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait(DEADLINE)
            give_up_at = time.monotonic() + DEADLINE
            while not _is_refused(self.port):
                assert time.monotonic() < give_up_at, f"port {self.port} is still open"
                time.sleep(0.02)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, number)

    def remove(self) -> None:
        """Kill it, and delete its files."""
        try:
            self.kill()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)


def _is_refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
    except ConnectionRefusedError:
        return True
    except OSError:  # From a process of the group that is about to end.
        return False
    return False


class Redis(PrivateService):
    """A Redis server."""

    def _prepare(self) -> None:
        (self.folder / "redis.conf").write_text(
            f"port {self.port}\ntls-port {self.tls_port}\nbind 127.0.0.1\nsave ''\n"
            f"tls-cert-file {self.certificate}\ntls-key-file {self.key}\ntls-auth-clients no\n"
            f"user {USER} on >{PASSWORD} ~* &* +@all\nuser default off\n"
        )

    def _command(self) -> list[str]:
        return [self.program("redis-server"), str(self.folder / "redis.conf")]


class MariaDB(PrivateService):
    """A MariaDB server."""

    def _prepare(self) -> None:
        (self.folder / "begin.sql").write_text(
            f"CREATE DATABASE IF NOT EXISTS {DATABASE};\n"
            f"CREATE USER IF NOT EXISTS '{USER}'@'%' IDENTIFIED BY '{PASSWORD}';\n"
            f"GRANT ALL ON {DATABASE}.* TO '{USER}'@'%';\n"
        )
        install = [self.program("mariadb-install-db"), "--no-defaults", "--auth-root-authentication-method=normal"]
        more = ["--skip-test-db", f"--datadir={self.folder / 'data'}", *self._as_root()]
        subprocess.run([*install, *more], check=True, capture_output=True, cwd=self.folder)

    def _as_root(self) -> list[str]:
        return ["--user=root"] if os.geteuid() == 0 else []

    def _command(self) -> list[str]:
        options = {
            "datadir": self.folder / "data", "port": self.port, "bind-address": "127.0.0.1",
            "socket": self.folder / "socket", "pid-file": self.folder / "pid", "init-file": self.folder / "begin.sql",
            "ssl-cert": self.certificate, "ssl-key": self.key, "innodb-buffer-pool-size": "16M",
        }  # fmt: skip
        program = [self.program("mariadbd"), "--no-defaults", *self._as_root(), "--skip-name-resolve"]
        return [*program, *(f"--{name}={value}" for name, value in options.items())]

    def _is_ready(self) -> bool:
        try:
            pymysql.connect(host="127.0.0.1", port=self.port, user=USER, password=PASSWORD).close()
        except pymysql.OperationalError:
            return False
        return True


class Nats(PrivateService):
    """A NATS server with JetStream. With ``tls``, it accepts only TLS, on `port`."""

    def __init__(self, program: Program, *, tls: bool = False) -> None:
        super().__init__(program)
        self._tls = f'tls {{ cert_file: "{self.certificate}", key_file: "{self.key}" }}\n' if tls else ""

    def _prepare(self) -> None:
        (self.folder / "nats.conf").write_text(
            f'host: "127.0.0.1"\nport: {self.port}\njetstream {{ store_dir: "{self.folder / "streams"}" }}\n'
            f'authorization {{ user: "{USER}", password: "{PASSWORD}" }}\n{self._tls}'
        )

    def _command(self) -> list[str]:
        return [self.program("nats-server"), "-c", str(self.folder / "nats.conf")]


class RabbitMQ(PrivateService):
    """A RabbitMQ node with a virtual host `DATABASE`, isolated from other nodes of this machine."""

    def _prepare(self) -> None:
        listeners = f"listeners.tcp.local = 127.0.0.1:{self.port}\nlisteners.ssl.local = 127.0.0.1:{self.tls_port}\n"
        (self.folder / "rabbitmq.conf").write_text(
            f"{listeners}default_user = {USER}\ndefault_pass = {PASSWORD}\ndefault_vhost = {DATABASE}\n"
            f"ssl_options.certfile = {self.certificate}\nssl_options.keyfile = {self.key}\n"
            f"ssl_options.cacertfile = {ca_file(self.folder)}\nssl_options.verify = verify_none\n"
        )
        (self.folder / "environment.conf").write_text("")
        (self.folder / "plugins").write_text("[].\n")

    def _command(self) -> list[str]:
        # The script on the PATH changes to the user rabbitmq, and drops these variables.
        known = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
        return [str(known) if known.exists() else self.program("rabbitmq-server")]

    def _variables(self) -> dict[str, str]:
        return {
            "HOME": str(self.folder),
            "RABBITMQ_NODENAME": f"test{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "ERL_EPMD_PORT": str(free_port()),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1 -kernel inet_dist_use_interface {127,0,0,1}",
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "environment.conf"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder / "logs"),
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
        }

    def kill(self) -> None:
        """Kill the node and the port mapper that it has started."""
        super().kill()
        self._kill_all()

    def _kill_all(self) -> None:
        # The port mapper is not in the process group of the node.
        for path in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                if f"HOME={self.folder}\0".encode() in path.read_bytes():
                    os.kill(int(path.parent.name), signal.SIGKILL)


class S3(PrivateService):
    """The server of moto, which implements S3."""

    def _command(self) -> list[str]:
        return [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]


class Pages(PrivateService):
    """A web server with one page."""

    def _prepare(self) -> None:
        (self.folder / "pages").mkdir()
        (self.folder / "pages" / "index.html").write_text("all is ok\n")

    def _command(self) -> list[str]:
        options = ["--bind", "127.0.0.1", "--directory", str(self.folder / "pages")]
        return [sys.executable, "-m", "http.server", *options, str(self.port)]


class Relay:
    """A port that forwards connections to another port.

    Args:
        port: The other port.
        limit: Number of bytes of the responses that it forwards; None for all.

    Attributes:
        port: The port to connect to.
        passed: Number of bytes of the responses that it has forwarded.
    """

    def __init__(self, port: int, limit: int | None = None) -> None:
        self._target, self._limit = port, limit
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self.passed = 0
        self._open: list[socket.socket] = [self._listening]

    def __enter__(self) -> "Relay":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *reason: object) -> None:
        for each in self._open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self._target))
        except OSError:  # The target may have been killed.
            client.close()
            return
        self._open += [client, server]
        threading.Thread(target=self._forward_requests, args=(client, server), daemon=True).start()
        self._forward_responses(server, client)

    def _forward_requests(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while content := client.recv(2**16):
                server.sendall(content)
            server.shutdown(socket.SHUT_WR)

    def _forward_responses(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while content := server.recv(2**16):
                part = content if self._limit is None else content[: max(0, self._limit - self.passed)]
                client.sendall(part)
                self.passed += len(part)
            if self._limit is None:
                client.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def refusing_port() -> Iterator[int]:
    """Yield a port that refuses connections, and that no other program can use."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield int(taken.getsockname()[1])


@contextlib.contextmanager
def silent_port() -> Iterator[int]:
    """Yield a port that accepts connections and sends nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=200) as listening:
        yield int(listening.getsockname()[1])
