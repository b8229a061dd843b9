"""Real services that tests may freeze and kill: each a process of its own, in a folder of its own, on free ports.

Each has a user `USER` with the password `PASSWORD`, and, where it has such things, a database `DATABASE`.
"""

import contextlib
import functools
import os
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

USER, PASSWORD, DATABASE = "shopkeeper", "opensesame-7f3", "ledger_of_shop"

_DEADLINE = 90.0  # seconds for what takes ten on an idle machine

Program = Callable[[str], str]


@functools.cache
def authority() -> trustme.CA:
    """Return the authority whose certificates the services have."""
    return trustme.CA()


def ca_file(folder: Path, ca: trustme.CA | None = None) -> Path:
    """Return a file with the certificate of an authority, by default that of the services."""
    path = folder / "ca.pem"
    (ca or authority()).cert_pem.write_to_path(str(path))
    return path


def free_port() -> int:
    """Return a port where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


class Service:
    """A process that serves at `port`, and with TLS at `tls_port` where it can; to be used with ``with``."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.folder = Path(tempfile.mkdtemp(prefix="service-"))
        self.port, self.tls_port = free_port(), free_port()
        issued = authority().issue_cert("localhost", "127.0.0.1")
        self.certificate, self.key = self.folder / "certificate.pem", self.folder / "key.pem"
        issued.cert_chain_pems[0].write_to_path(str(self.certificate))
        issued.private_key_pem.write_to_path(str(self.key))
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Service":
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
        """Begin to serve, also after it was killed."""
        with (self.folder / "log.txt").open("wb") as log:
            self._process = subprocess.Popen(
                self._command(), cwd=self.folder, env={**os.environ, **self._variables()}, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self._wait()

    def _prepare(self) -> None:
        """Make what the process needs."""

    def _command(self) -> list[str]:
        """Return the command that serves."""
        raise NotImplementedError

    def _variables(self) -> dict[str, str]:
        """Return variables of its environment."""
        return {}

    def _answers(self) -> bool:
        """Return whether it is ready; raise OSError where it is not."""
        with socket.create_connection(("127.0.0.1", self.port), 5):
            return True

    def _wait(self) -> None:
        assert self._process is not None
        give_up_at = time.monotonic() + _DEADLINE
        while True:
            with contextlib.suppress(OSError):
                if self._answers():
                    return
            if time.monotonic() > give_up_at or self._process.poll() is not None:
                raise RuntimeError((self.folder / "log.txt").read_text(errors="replace")[-3000:])
            time.sleep(0.02)

    def freeze(self) -> None:
        """Let it not go on."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once, and return when nobody listens at its port any more."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait(_DEADLINE)
            give_up_at = time.monotonic() + _DEADLINE
            while not _is_refused(self.port) and time.monotonic() < give_up_at:
                time.sleep(0.02)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, number)

    def remove(self) -> None:
        """Kill it, and remove its files."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def _is_refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
    except ConnectionRefusedError:
        return True
    except OSError:  # Of a process of the group that has not quite ended.
        return False
    return False


class Redis(Service):
    """A Redis server."""

    def _prepare(self) -> None:
        (self.folder / "redis.conf").write_text(
            f"port {self.port}\ntls-port {self.tls_port}\nbind 127.0.0.1\nsave ''\n"
            f"tls-cert-file {self.certificate}\ntls-key-file {self.key}\ntls-auth-clients no\n"
            f"user {USER} on >{PASSWORD} ~* &* +@all\nuser default off\n"
        )

    def _command(self) -> list[str]:
        return [self.program("redis-server"), str(self.folder / "redis.conf")]


class MariaDB(Service):
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

    def _answers(self) -> bool:
        try:
            pymysql.connect(host="127.0.0.1", port=self.port, user=USER, password=PASSWORD).close()
        except pymysql.OperationalError:
            return False
        return True


class Nats(Service):
    """A NATS server with JetStream; with ``tls``, it takes TLS only, at `port`."""

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


class RabbitMQ(Service):
    """A RabbitMQ node with a virtual host `DATABASE`, known to no other node of this machine."""

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
        # What is on the PATH becomes the user of the machine's own node, and forgets all that it is told here.
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
        """End the node, and the port mapper that it has started."""
        super().kill()
        self._kill_all()

    def _kill_all(self) -> None:
        # The port mapper is in no group of ours.
        for path in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                if f"HOME={self.folder}\0".encode() in path.read_bytes():
                    os.kill(int(path.parent.name), signal.SIGKILL)


class S3(Service):
    """The server of moto, which speaks like S3."""

    def _command(self) -> list[str]:
        return [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]


class Pages(Service):
    """A web server with one page."""

    def _prepare(self) -> None:
        (self.folder / "pages").mkdir()
        (self.folder / "pages" / "index.html").write_text("all is ok\n")

    def _command(self) -> list[str]:
        options = ["--bind", "127.0.0.1", "--directory", str(self.folder / "pages")]
        return [sys.executable, "-m", "http.server", *options, str(self.port)]


class Relay:
    """A port that leads to another.

    Args:
        port: The other one.
        most: So many bytes of the answers are let through.
        delay: So many seconds pass before a connection goes on.
    """

    def __init__(self, port: int, most: int | None = None, delay: float = 0) -> None:
        self._target, self._most, self._delay = port, most, delay
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
        time.sleep(self._delay)
        try:
            server = socket.create_connection(("127.0.0.1", self._target))
        except OSError:  # It may have been killed meanwhile.
            client.close()
            return
        self._open += [client, server]
        threading.Thread(target=self._pass, args=(client, server), daemon=True).start()
        self._answer(server, client)

    def _pass(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while content := client.recv(2**16):
                server.sendall(content)
            server.shutdown(socket.SHUT_WR)

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while content := server.recv(2**16):
                left = len(content) if self._most is None else max(0, self._most - self.passed)
                client.sendall(content[:left])
                self.passed += len(content[:left])
            if self._most is None:
                client.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def refusing_port() -> Iterator[int]:
    """Give a port where nothing listens, and nothing else can."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield int(taken.getsockname()[1])


@contextlib.contextmanager
def silent_port() -> Iterator[int]:
    """Give a port where connections are taken, and no word is said."""
    with socket.create_server(("127.0.0.1", 0), backlog=200) as listening:
        yield int(listening.getsockname()[1])
